#pragma once

#include "base/json.h"

#include <initializer_list>
#include <optional>
#include <vector>

namespace fettle::text {

/// One object of tokenizer.json with its place in the file, read with checks.
class JsonPart
{
public:
    JsonPart(const Json& json, std::string place)
        : m_json(json)
        , m_place(std::move(place))
    {
    }

    const Json& json() const { return m_json; }
    const std::string& place() const { return m_place; }
    std::string type() const;
    /// The value at `key`, null when absent. The part must be an object.
    const Json& child(const char* key) const;

    /// Errors: Unsupported naming the first key that is not in the list.
    Result<void> onlyKeys(std::initializer_list<const char*> known) const;

    /// Absent or null: the default; another kind of value: nothing (then report badKinds()).
    std::optional<bool> flag(const char* key, bool byDefault) const;
    std::optional<std::string> text(const char* key, const std::string& byDefault = {}) const;
    std::optional<std::int64_t> number(const char* key, std::int64_t byDefault) const;

    /// Errors: InvalidInput when the steps of this part can together make a text far longer than any
    /// published ones do; `times` is the product of what each can make of one byte.
    Result<void> boundedGrowth(double times) const;

    Error badKinds() const;
    Error unknown(const std::string& what) const;
    Error invalid(const std::string& what) const;

private:
    const Json& m_json;
    std::string m_place;
};

/// Reads many values of a foreign tokenizer.json by kind. Absent and null give the default; so does
/// a value of another kind, and the first such one is kept as an error that names it.
class JsonReader
{
public:
    std::string text(const Json& part, const char* key, const std::string& byDefault = {});
    bool flag(const Json& part, const char* key, bool byDefault);
    std::int64_t number(const Json& part, const char* key, std::int64_t byDefault);
    /// An object, an empty one by default.
    const Json& object(const Json& part, const char* key);
    /// A list, an empty one by default.
    const Json& list(const Json& part, const char* key);
    /// For a value without a key of its own: `what` names it.
    void wrong(const std::string& what);

    /// The parts of a normalizer or pre-tokenizer under `key`: nested sequences, whose parts stand
    /// under `children`, as one list.
    std::vector<Json> parts(const Json& tokenizer, const char* key, const char* children);

    Result<void> result() const;

private:
    const Json* find(const Json& part, const char* key);
    void flatten(const Json& part, const char* children, std::vector<Json>& out);

    std::optional<Error> m_wrong;
};

} // namespace fettle::text
