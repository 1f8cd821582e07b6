#pragma once

#include "base/json.h"

#include <initializer_list>
#include <optional>

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

    Error badKinds() const;
    Error unknown(const std::string& what) const;
    Error invalid(const std::string& what) const;

private:
    const Json& m_json;
    std::string m_place;
};

} // namespace fettle::text
