#include "text/jinja/import.h"

#include "base/text.h"
#include "text/jinja/filters.h"

#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

bool isRole(const std::string& text)
{
    return text == "system" || text == "user" || text == "assistant" || text == "tool";
}

Value convert(Evaluator& e, const OrderedJson& json, std::int32_t message, int level);

Value convertObject(Evaluator& e, const OrderedJson& json, std::int32_t message, int level)
{
    const bool isMessage = level == 0 && message != kNoMessage;
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [key, value] : json.items()) {
        const bool role = isMessage && key == "role" && value.is_string() &&
                          isRole(value.get_ref<const std::string&>());
        entries.emplace_back(e.text(toValidUtf8(key), Origin(kUser, message)),
                             role ? e.text(value.get<std::string>(), kTrusted)
                                  : convert(e, value, message, level + 1));
    }
    return e.dict(std::move(entries), isMessage ? message : -1);
}

Value convert(Evaluator& e, const OrderedJson& json, std::int32_t message, int level)
{
    if (level > kMaxValueDepth)
        throw TemplateError(
            fmt::format("a message is nested deeper than {} levels", kMaxValueDepth));
    switch (json.type()) {
    case OrderedJson::value_t::object:
        return convertObject(e, json, message, level);
    case OrderedJson::value_t::array: {
        std::vector<Value> items;
        for (const OrderedJson& item : json)
            items.push_back(convert(e, item, message, level + 1));
        return e.list(std::move(items));
    }
    case OrderedJson::value_t::string:
        return e.text(toValidUtf8(json.get_ref<const std::string&>()), Origin(kUser, message));
    case OrderedJson::value_t::boolean:
        return Value::boolean(json.get<bool>());
    case OrderedJson::value_t::number_integer:
        return Value::integer(json.get<std::int64_t>());
    case OrderedJson::value_t::number_unsigned:
        if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
            throw TemplateError("a whole number of a message leaves the range of 64 bits");
        return Value::integer(json.get<std::int64_t>());
    case OrderedJson::value_t::number_float:
        return Value::number(json.get<double>());
    default:
        return Value::none();
    }
}

} // namespace

Value fromJson(Evaluator& evaluator, const OrderedJson& json, std::int32_t message)
{
    return convert(evaluator, json, message, 0);
}

Value fromJsonText(Evaluator& evaluator, const std::string& text)
{
    if (text.size() > kMaxSource)
        throw TemplateError("from_json reads at most 1 MB");
    evaluator.budget().step(static_cast<std::int64_t>(text.size() / 16));
    const auto checked = parseJson(text, "from_json");
    if (!checked)
        throw TemplateError("from_json met a text that is no JSON");
    return fromJson(evaluator, OrderedJson::parse(text));
}

} // namespace fettle::text::jinja
