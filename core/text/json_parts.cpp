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

Result<void> JsonPart::boundedGrowth(double times) const
{
    constexpr double kMost = 10'000; // published files stay below a hundred
    if (times <= kMost)
        return {};
    return invalid(fmt::format("its steps together can make a text {:.0g} times as long; at most "
                               "{:.0f} times is accepted",
                               times, kMost));
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

const Json* JsonReader::find(const Json& part, const char* key)
{
    if (!part.is_object()) {
        if (!part.is_null())
            wrong(fmt::format("what should hold '{}' is not an object", key));
        return nullptr;
    }
    const auto found = part.find(key);
    return found == part.end() || found->is_null() ? nullptr : &*found;
}

void JsonReader::wrong(const std::string& what)
{
    if (!m_wrong)
        m_wrong = Error{ErrorCode::InvalidInput, quotable(what, 200), "tokenizer.json",
                        "Fetch the tokenizer's files again"};
}

std::string JsonReader::text(const Json& part, const char* key, const std::string& byDefault)
{
    const auto* value = find(part, key);
    if (value && !value->is_string())
        wrong(fmt::format("'{}' is not a text", key));
    return value && value->is_string() ? value->get<std::string>() : byDefault;
}

bool JsonReader::flag(const Json& part, const char* key, bool byDefault)
{
    const auto* value = find(part, key);
    if (value && !value->is_boolean())
        wrong(fmt::format("'{}' is neither true nor false", key));
    return value && value->is_boolean() ? value->get<bool>() : byDefault;
}

std::int64_t JsonReader::number(const Json& part, const char* key, std::int64_t byDefault)
{
    const auto* value = find(part, key);
    if (value && !value->is_number_integer())
        wrong(fmt::format("'{}' is not a whole number", key));
    return value && value->is_number_integer() ? value->get<std::int64_t>() : byDefault;
}

const Json& JsonReader::object(const Json& part, const char* key)
{
    static const Json kNone = Json::object();
    const auto* value = find(part, key);
    if (value && !value->is_object())
        wrong(fmt::format("'{}' is not an object", key));
    return value && value->is_object() ? *value : kNone;
}

const Json& JsonReader::list(const Json& part, const char* key)
{
    static const Json kNone = Json::array();
    const auto* value = find(part, key);
    if (value && !value->is_array())
        wrong(fmt::format("'{}' is not a list", key));
    return value && value->is_array() ? *value : kNone;
}

std::vector<Json> JsonReader::parts(const Json& tokenizer, const char* key, const char* children)
{
    std::vector<Json> all;
    if (const auto* part = find(tokenizer, key))
        flatten(*part, children, all);
    return all;
}

void JsonReader::flatten(const Json& part, const char* children, std::vector<Json>& out)
{
    if (!part.is_object())
        return wrong(fmt::format("a part under '{}' is not an object", children));
    if (text(part, "type") != "Sequence")
        return out.push_back(part);
    for (const auto& child : list(part, children))
        flatten(child, children, out);
}

Result<void> JsonReader::result() const
{
    return m_wrong ? Result<void>(*m_wrong) : Result<void>();
}

} // namespace fettle::text
