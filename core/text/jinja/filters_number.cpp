#include "text/jinja/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

std::optional<double> parsedFloat(const Marked& marked)
{
    const Marked text = stripped(marked, nullptr, true, true);
    double value = 0;
    const char *first = text.text().data(), *last = first + text.size();
    if (first != last && *first == '+')
        ++first;
    const auto result = std::from_chars(first, last, value);
    return result.ec == std::errc() && result.ptr == last ? std::optional(value) : std::nullopt;
}

Value toInteger(Evaluator&, const Value& v, const Arguments& a)
{
    const Value byDefault = a.find("default", 0) ? *a.find("default", 0) : Value::integer(0);
    const auto fromFloat = [&](double number) {
        return std::abs(number) < 9.2e18 ? Value::integer(static_cast<std::int64_t>(number))
                                         : byDefault;
    };
    if (const auto whole = v.asInteger())
        return Value::integer(*whole);
    if (const auto number = v.asNumber())
        return fromFloat(*number);
    if (!v.text())
        return byDefault;
    const Marked text = stripped(*v.text(), nullptr, true, true);
    const auto base =
        static_cast<int>(std::clamp<std::int64_t>(integerArgument(a, "base", 1, 10), 2, 36));
    std::int64_t whole = 0;
    const char *first = text.text().data(), *last = first + text.size();
    if (first != last && *first == '+')
        ++first;
    if (base == 16 && last - first > 2 && first[0] == '0' && (first[1] == 'x' || first[1] == 'X'))
        first += 2;
    const auto result = std::from_chars(first, last, whole, base);
    if (result.ec == std::errc() && result.ptr == last)
        return Value::integer(whole);
    const auto number = parsedFloat(text);
    return number && std::isfinite(*number) ? fromFloat(*number) : byDefault;
}

Value toFloat(Evaluator&, const Value& v, const Arguments& a)
{
    if (const auto number = v.asNumber())
        return Value::number(*number);
    const auto number = v.text() ? parsedFloat(*v.text()) : std::nullopt;
    if (number)
        return Value::number(*number);
    return a.find("default", 0) ? *a.find("default", 0) : Value::number(0);
}

Value absolute(Evaluator& e, const Value& v, const Arguments&)
{
    Evaluator::need(v);
    if (const auto whole = v.asInteger())
        return *whole < 0 ? e.binary(Operation::Subtract, Value::integer(0), v)
                          : Value::integer(*whole);
    if (!v.isFloat())
        throw TemplateError(fmt::format("abs needs a number, not {}", typeName(v)));
    return Value::number(std::abs(*v.asNumber()));
}

Value roundFilter(Evaluator&, const Value& v, const Arguments& a)
{
    Evaluator::need(v);
    const auto number = v.asNumber();
    const std::int64_t precision =
        std::clamp<std::int64_t>(integerArgument(a, "precision", 0, 0), -20, 20);
    const Marked* given = textArgument(a, "method", 1);
    const std::string method = given ? given->text() : "common";
    if (!number || (method != "common" && method != "ceil" && method != "floor"))
        throw TemplateError("round needs a number and one of the methods common, ceil, floor");
    if (method == "common") {
        if (v.asInteger() && precision >= 0)
            return Value::integer(*v.asInteger());
        if (precision < 0 || !std::isfinite(*number))
            return Value::number(std::nearbyint(*number * std::pow(10, precision)) *
                                 std::pow(10, -precision));
        const std::string text =
            fmt::format("{:.{}f}", *number, precision); // exact decimal, ties to even
        return Value::number(std::stod(text));
    }
    const double scale = std::pow(10, precision);
    return Value::number(
        (method == "ceil" ? std::ceil(*number * scale) : std::floor(*number * scale)) / scale);
}

constexpr std::pair<std::string_view, FilterFunction> kFilters[] = {
    {"int", toInteger}, {"float", toFloat}, {"abs", absolute}, {"round", roundFilter}};

} // namespace

FilterFunction findNumberFilter(std::string_view name)
{
    const auto found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                    [&](const auto& entry) { return entry.first == name; });
    return found == std::end(kFilters) ? nullptr : found->second;
}

} // namespace fettle::text::jinja
