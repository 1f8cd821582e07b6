#include "text/json_parts.h"

#include "base/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>

namespace fettle::text {

std::string JsonPart::type() const
{
    if (!m_json.is_object())
        return {};
    const auto found = m_json.find("type");
    return found != m_json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& JsonPart::child(const char* key) const
{
    static const Json kNull;
    const auto found = m_json.find(key);
    return found == m_json.end() ? kNull : *found;
}

Result<void> JsonPart::onlyKeys(std::initializer_list<const char*> known) const
{
    if (!m_json.is_object())
        return invalid("this is not an object");
    for (const auto& [key, value] : m_json.items()) {
        if (std::none_of(known.begin(), known.end(),
                         [&, k = key](const char* name) { return k == name; }))
            return unknown(fmt::format("the key \"{}\"", key));
    }
    return {};
}

std::optional<bool> JsonPart::flag(const char* key, bool byDefault) const
{
    const auto found = m_json.find(key);
    if (found == m_json.end() || found->is_null())
        return byDefault;
    return found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}

std::optional<std::string> JsonPart::text(const char* key, const std::string& byDefault) const
{
    const auto found = m_json.find(key);
    if (found == m_json.end() || found->is_null())
        return byDefault;
    return found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

std::optional<std::int64_t> JsonPart::number(const char* key, std::int64_t byDefault) const
{
    const auto found = m_json.find(key);
    if (found == m_json.end() || found->is_null())
        return byDefault;
    return found->is_number_integer() ? std::optional(found->get<std::int64_t>()) : std::nullopt;
}

Error JsonPart::badKinds() const { return invalid("a value is missing or of the wrong kind"); }

Error JsonPart::unknown(const std::string& what) const
{
    return {ErrorCode::Unsupported,
            fmt::format("the tokenizer uses {}, which is not known here", quotable(what, 200)),
            "tokenizer.json, " + quotable(m_place, 200),
            "Use a model whose tokenizer has only known parts"};
}

Error JsonPart::invalid(const std::string& what) const
{
    return {ErrorCode::InvalidInput, quotable(what, 200),
            "tokenizer.json, " + quotable(m_place, 200), "Fetch the tokenizer's files again"};
}

} // namespace fettle::text
