#pragma once

#include "base/json.h"

#include <optional>
#include <string>
#include <vector>

namespace fettle {

enum class ParamKind { Integer, Real, Flag, Choice, Text, TextList };

/// One setting, described once: form, command-line flag, file key, check and help come from this.
struct ParamSpec
{
    std::string key;          ///< "training.learningRate": group and name, as in --set and in recipe files
    std::string label;        ///< words on screen: "Change per step"
    std::string term;         ///< the field's term for tooltips: "learning rate"
    std::string help;         ///< one sentence
    std::string why;          ///< one sentence: why the default is what it is
    ParamKind kind = ParamKind::Text;
    Json defaultValue;
    std::optional<double> minimum, maximum;  ///< inclusive; numbers only
    std::vector<std::string> choices;        ///< Choice only: values as in files
    std::vector<std::string> choiceLabels;   ///< Choice only: words on screen, same order
    std::string unit;                        ///< "steps", "pieces"; may be empty
    bool basic = false;                      ///< one of the eight settings of level two
    /// Shown and used only when the named setting has one of these values ("method" = "lora"); empty: always.
    std::string neededBySetting;
    std::vector<std::string> neededByValues;
};

/// The settings of something, in the order people see them.
using ParamList = std::vector<ParamSpec>;

/// Checked values for a list of settings. Unset keys have their default.
class ParamValues
{
public:
    ParamValues() = default;
    explicit ParamValues(ParamList specs) : m_specs(std::move(specs)) {}

    /// Sets from JSON with type and range check. Errors: InvalidInput naming key, value and range,
    /// and the nearest known key when it is unknown.
    Result<void> set(const std::string& key, const Json& value);
    /// Sets from the text of a command line: "0.0002", "true", "q_proj,v_proj".
    Result<void> setText(const std::string& key, const std::string& text);
    /// Sets every entry of a flat or nested object ({"training": {"learningRate": 1e-4}}).
    Result<void> setAll(const Json& object);

    bool isSet(const std::string& key) const { return m_values.contains(key); }
    /// Forgets a set value, so that the default holds again.
    void reset(const std::string& key) { m_values.erase(key); }
    Json value(const std::string& key) const;  ///< set or default; throws std::logic_error when unknown
    double real(const std::string& key) const { return value(key).get<double>(); }
    std::int64_t integer(const std::string& key) const { return value(key).get<std::int64_t>(); }
    bool flag(const std::string& key) const { return value(key).get<bool>(); }
    std::string text(const std::string& key) const { return value(key).get<std::string>(); }
    std::vector<std::string> list(const std::string& key) const
    {
        return value(key).get<std::vector<std::string>>();
    }

    /// All values, defaults included, nested by group: what a run records.
    OrderedJson all() const;
    /// Keys whose value differs from the default.
    std::vector<std::string> changed() const;
    /// True when the setting has an effect under the present values (see neededBySetting).
    bool isNeeded(const ParamSpec& spec) const;
    const ParamList& specs() const { return m_specs; }
    const ParamSpec* spec(const std::string& key) const;

private:
    ParamList m_specs;
    std::map<std::string, Json> m_values;
};

} // namespace fettle
