#include "text/jinja/evaluator.h"

#include <fmt/format.h>

namespace fettle::text::jinja {

std::int64_t integerArgument(const Arguments& arguments, std::string_view name,
                             std::size_t position, std::int64_t byDefault)
{
    const Value* value = arguments.find(name, position);
    if (!value || value->isNone())
        return byDefault;
    const auto number = value->asInteger();
    if (!number)
        throw TemplateError(
            fmt::format("'{}' must be a whole number, not {}", name, typeName(*value)));
    return *number;
}

bool flagArgument(const Arguments& arguments, std::string_view name, std::size_t position,
                  bool byDefault)
{
    const Value* value = arguments.find(name, position);
    return value ? truthy(*value) : byDefault;
}

const Marked* textArgument(const Arguments& arguments, std::string_view name, std::size_t position)
{
    const Value* value = arguments.find(name, position);
    return !value || value->isNone() ? nullptr : &needText(*value, "an argument");
}

const Marked& needText(const Value& value, const char* what)
{
    Evaluator::need(value);
    const Marked* text = value.text();
    if (!text)
        throw TemplateError(fmt::format("{} must be a text, not {}", what, typeName(value)));
    return *text;
}

} // namespace fettle::text::jinja
