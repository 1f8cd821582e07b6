#include "base/param_spec.h"

#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>

namespace fettle {

namespace {

/// Levenshtein distance, to name the key that was probably meant.
std::size_t editDistance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

Error unknownSetting(const ParamList& specs, const std::string& key)
{
    const ParamSpec* nearest = nullptr;
    std::size_t best = 1000;
    for (const auto& spec : specs) {
        const auto dot = spec.key.rfind('.');
        const auto shortKey = dot == std::string::npos ? spec.key : spec.key.substr(dot + 1);
        const auto distance = std::min(editDistance(spec.key, key), editDistance(shortKey, key));
        if (distance < best)
            best = distance, nearest = &spec;
    }
    return {ErrorCode::InvalidInput, fmt::format("there is no setting \"{}\"", key), "settings",
            nearest ? fmt::format("Did you mean {}? All settings: fettle-cli recipe schema", nearest->key)
                    : std::string("All settings: fettle-cli recipe schema")};
}

Error wrongValue(const ParamSpec& spec, const std::string& problem, const std::string& remedy)
{
    return {ErrorCode::InvalidInput, problem, "setting " + spec.key, remedy};
}

Error checkNumber(const ParamSpec& spec, double number)
{
    const auto low = spec.minimum.value_or(-HUGE_VAL), high = spec.maximum.value_or(HUGE_VAL);
    return wrongValue(spec, fmt::format("{} is out of range", number),
                      fmt::format("Use a value from {} to {}", low, high));
}

bool inRange(const ParamSpec& spec, double number)
{
    return std::isfinite(number) && (!spec.minimum || number >= *spec.minimum)
           && (!spec.maximum || number <= *spec.maximum);
}

Result<void> check(const ParamSpec& spec, const Json& value)
{
    switch (spec.kind) {
    case ParamKind::Integer:
        if (!value.is_number_integer())
            return wrongValue(spec, "a whole number is expected", "Write it without quotes or decimals");
        if (!inRange(spec, value.get<double>()))
            return checkNumber(spec, value.get<double>());
        return {};
    case ParamKind::Real:
        if (!value.is_number())
            return wrongValue(spec, "a number is expected", "Write it without quotes");
        if (!inRange(spec, value.get<double>()))
            return checkNumber(spec, value.get<double>());
        return {};
    case ParamKind::Flag:
        if (!value.is_boolean())
            return wrongValue(spec, "true or false is expected", "Write true or false");
        return {};
    case ParamKind::Choice:
        if (!value.is_string()
            || std::ranges::find(spec.choices, value.get<std::string>()) == spec.choices.end())
            return wrongValue(spec, "this value is not one of the choices",
                              fmt::format("Use one of: {}", fmt::join(spec.choices, ", ")));
        return {};
    case ParamKind::Text:
        if (!value.is_string())
            return wrongValue(spec, "a text is expected", "Put it in quotes");
        return {};
    case ParamKind::TextList:
        if (!value.is_array() || !std::ranges::all_of(value, [](const Json& v) { return v.is_string(); }))
            return wrongValue(spec, "a list of texts is expected", "Write [\"a\", \"b\"]");
        return {};
    }
    return {};
}

Result<Json> parseText(const ParamSpec& spec, const std::string& text)
{
    const char* end = text.data() + text.size();
    if (spec.kind == ParamKind::Integer) {
        std::int64_t number = 0;
        const auto [stop, ec] = std::from_chars(text.data(), end, number);
        if (ec != std::errc() || stop != end)
            return wrongValue(spec, "a whole number is expected", "Write digits only");
        return Json(number);
    }
    if (spec.kind == ParamKind::Real) {
        double number = 0;
        const auto [stop, ec] = std::from_chars(text.data(), end, number);
        if (ec != std::errc() || stop != end)
            return wrongValue(spec, "a number is expected", "Write it with a point, as 0.0002 or 2e-4");
        return Json(number);
    }
    if (spec.kind == ParamKind::Flag) {
        if (text == "true" || text == "1" || text == "yes" || text == "on")
            return Json(true);
        if (text == "false" || text == "0" || text == "no" || text == "off")
            return Json(false);
        return wrongValue(spec, "true or false is expected", "Write true or false");
    }
    if (spec.kind == ParamKind::TextList) {
        Json list = Json::array();
        if (!text.empty()) {
            for (const auto& part : splitOn(text, ','))
                list.push_back(trimmed(part));
        }
        return list;
    }
    return Json(text);
}

} // namespace

const ParamSpec* ParamValues::spec(const std::string& key) const
{
    const auto found = std::ranges::find(m_specs, key, &ParamSpec::key);
    return found == m_specs.end() ? nullptr : &*found;
}

Result<void> ParamValues::set(const std::string& key, const Json& value)
{
    const ParamSpec* found = spec(key);
    if (!found)
        return unknownSetting(m_specs, key);
    if (auto checked = check(*found, value); !checked)
        return checked;
    m_values[key] = value;
    return {};
}

Result<void> ParamValues::setText(const std::string& key, const std::string& text)
{
    const ParamSpec* found = spec(key);
    if (!found)
        return unknownSetting(m_specs, key);
    auto value = parseText(*found, text);
    if (!value)
        return value.error();
    return set(key, *value);
}

Result<void> ParamValues::setAll(const Json& object)
{
    if (!object.is_object())
        return Error{ErrorCode::InvalidInput, "settings must be an object", "settings",
                     "Write {\"key\": value}"};
    for (const auto& [key, value] : object.items()) {
        if (value.is_object()) {
            for (const auto& [inner, innerValue] : value.items()) {
                if (auto done = set(key + "." + inner, innerValue); !done)
                    return done;
            }
        } else if (auto done = set(key, value); !done) {
            return done;
        }
    }
    return {};
}

Json ParamValues::value(const std::string& key) const
{
    if (const auto found = m_values.find(key); found != m_values.end())
        return found->second;
    const ParamSpec* known = spec(key);
    if (!known)
        throw std::logic_error("unknown setting " + key);
    return known->defaultValue;
}

OrderedJson ParamValues::all() const
{
    OrderedJson out = OrderedJson::object();
    for (const auto& each : m_specs) {
        const auto dot = each.key.find('.');
        if (dot == std::string::npos)
            out[each.key] = value(each.key);
        else
            out[each.key.substr(0, dot)][each.key.substr(dot + 1)] = value(each.key);
    }
    return out;
}

std::vector<std::string> ParamValues::changed() const
{
    std::vector<std::string> keys;
    for (const auto& each : m_specs) {
        if (value(each.key) != each.defaultValue)
            keys.push_back(each.key);
    }
    return keys;
}

bool ParamValues::isNeeded(const ParamSpec& each) const
{
    return each.neededBySetting.empty()
           || std::ranges::find(each.neededByValues, text(each.neededBySetting)) != each.neededByValues.end();
}

} // namespace fettle
