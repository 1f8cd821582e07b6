#include "text/jinja/evaluator.h"
#include "text/unicode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

const char* symbol(Operation operation)
{
    static constexpr const char* kSymbols[] = {
        "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
    return kSymbols[static_cast<std::size_t>(operation)];
}

[[noreturn]] void cannot(Operation operation, const Value& left, const Value& right)
{
    throw TemplateError(fmt::format("{} cannot be used with {} and {}", symbol(operation),
                                    typeName(left), typeName(right)));
}

[[noreturn]] void tooLarge() { throw TemplateError("a whole number leaves the range of 64 bits"); }

std::int64_t power(std::int64_t base, std::int64_t exponent)
{
    std::int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            tooLarge();
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            tooLarge();
    }
    return result;
}

Value wholeArithmetic(Operation operation, std::int64_t a, std::int64_t b)
{
    std::int64_t result = 0;
    bool overflow = false;
    switch (operation) {
    case Operation::Add:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case Operation::Subtract:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case Operation::Multiply:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    case Operation::Power:
        result = power(a, b);
        break;
    default: // FloorDivide, Modulo: towards minus infinity
        if (b == -1 && a == INT64_MIN)
            tooLarge();
        result = operation == Operation::FloorDivide ? a / b : a % b;
        if (a % b != 0 && (a % b < 0) != (b < 0))
            result += operation == Operation::FloorDivide ? -1 : b;
    }
    if (overflow)
        tooLarge();
    return Value::integer(result);
}

double realArithmetic(Operation operation, double a, double b)
{
    switch (operation) {
    case Operation::Add:
        return a + b;
    case Operation::Subtract:
        return a - b;
    case Operation::Multiply:
        return a * b;
    case Operation::Divide:
        return a / b;
    case Operation::FloorDivide:
        return std::floor(a / b);
    case Operation::Power:
        return std::pow(a, b);
    default: {
        double rest = std::fmod(a, b);
        if (rest != 0 && (rest < 0) != (b < 0))
            rest += b;
        return rest;
    }
    }
}

Value arithmetic(Operation operation, const Value& left, const Value& right)
{
    const bool divides = operation == Operation::Divide || operation == Operation::FloorDivide ||
                         operation == Operation::Modulo;
    if (divides && *right.asNumber() == 0)
        throw TemplateError("a number is divided by zero");
    const auto a = left.asInteger(), b = right.asInteger();
    const bool whole =
        a && b && operation != Operation::Divide && !(operation == Operation::Power && *b < 0);
    return whole ? wholeArithmetic(operation, *a, *b)
                 : Value::number(realArithmetic(operation, *left.asNumber(), *right.asNumber()));
}

Value repeated(Evaluator& evaluator, const Value& what, std::int64_t times)
{
    times = std::max<std::int64_t>(times, 0);
    const Marked* text = what.text();
    const std::size_t size = text ? text->size() : what.list()->items.size() * sizeof(Value);
    if (size > 0 && static_cast<std::size_t>(times) > kMaxOutput / size)
        throw TemplateError("the template makes a text or list of more than 16 MB");
    if (size == 0)
        return what;
    evaluator.budget().step(
        times / 16 + static_cast<std::int64_t>(size * static_cast<std::size_t>(times) / 256));
    if (text) {
        Marked out;
        for (std::int64_t i = 0; i < times; ++i)
            out.append(*text);
        return evaluator.text(std::move(out));
    }
    std::vector<Value> items;
    for (std::int64_t i = 0; i < times; ++i)
        items.insert(items.end(), what.list()->items.begin(), what.list()->items.end());
    return evaluator.list(std::move(items), what.list()->kind);
}

bool isSequence(const Value& value)
{
    return value.list() &&
           (value.list()->kind == ListKind::List || value.list()->kind == ListKind::Tuple);
}

/// Negative, zero or positive as left stands before, at or behind right.
int order(Evaluator& evaluator, Operation operation, const Value& left, const Value& right)
{
    evaluator.budget().step();
    if (left.isNumber() && right.isNumber()) {
        if (left.asInteger() && right.asInteger())
            return *left.asInteger() < *right.asInteger() ? -1
                                                          : *left.asInteger() > *right.asInteger();
        return *left.asNumber() < *right.asNumber() ? -1 : *left.asNumber() > *right.asNumber();
    }
    if (left.text() && right.text()) {
        evaluator.budget().step(
            static_cast<std::int64_t>(std::min(left.text()->size(), right.text()->size()) / 256));
        return left.text()->text().compare(right.text()->text());
    }
    if (!isSequence(left) || !isSequence(right) || left.list()->kind != right.list()->kind)
        cannot(operation, left, right);
    const auto &a = left.list()->items, &b = right.list()->items;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        if (!equal(a[i], b[i]))
            return order(evaluator, operation, a[i], b[i]);
    }
    return a.size() < b.size() ? -1 : a.size() > b.size();
}

bool contains(Evaluator& evaluator, const Value& container, const Value& wanted)
{
    if (container.isUndefined())
        return false;
    if (const Marked* text = container.text()) {
        const Marked* part = wanted.text();
        if (!part)
            cannot(Operation::In, wanted, container);
        evaluator.budget().step(static_cast<std::int64_t>(text->size() / 256));
        return part->empty() ||
               memmem(text->text().data(), text->size(), part->text().data(), part->size());
    }
    if (const DictNode* dict = container.dict()) {
        evaluator.budget().step(static_cast<std::int64_t>(dict->entries.size() / 16));
        return dict->find(wanted) != nullptr;
    }
    if (!container.list())
        cannot(Operation::In, wanted, container);
    const std::vector<Value> items = evaluator.iterate(container);
    evaluator.budget().step(static_cast<std::int64_t>(items.size() / 16));
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& item) { return equal(item, wanted); });
}

} // namespace

Value Evaluator::binary(Operation operation, const Value& left, const Value& right)
{
    need(left);
    need(right);
    if (left.isNumber() && right.isNumber())
        return arithmetic(operation, left, right);
    if (operation == Operation::Add && left.text() && right.text()) {
        if (left.text()->size() + right.text()->size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
        const bool markup = left.isMarkup() || right.isMarkup();
        Marked out = markup && !left.isMarkup() ? escaped(*left.text()) : *left.text();
        out.append(markup && !right.isMarkup() ? escaped(*right.text()) : *right.text());
        return text(std::move(out), markup);
    }
    if (operation == Operation::Add && isSequence(left) && isSequence(right) &&
        left.list()->kind == right.list()->kind) {
        std::vector<Value> items = left.list()->items;
        items.insert(items.end(), right.list()->items.begin(), right.list()->items.end());
        return list(std::move(items), left.list()->kind);
    }
    if (operation == Operation::Multiply && (left.text() || isSequence(left)) && right.asInteger())
        return repeated(*this, left, *right.asInteger());
    if (operation == Operation::Multiply && (right.text() || isSequence(right)) && left.asInteger())
        return repeated(*this, right, *left.asInteger());
    if (operation == Operation::Modulo && left.text()) {
        Arguments arguments;
        arguments.positional = right.list() && right.list()->kind == ListKind::Tuple
                                   ? right.list()->items
                                   : std::vector<Value>{right};
        return filter("format", left, arguments);
    }
    cannot(operation, left, right);
}

bool Evaluator::compare(Operation operation, const Value& left, const Value& right)
{
    switch (operation) {
    case Operation::Equal:
    case Operation::NotEqual:
        m_budget.step(left.text()   ? static_cast<std::int64_t>(left.text()->size() / 256)
                      : left.list() ? static_cast<std::int64_t>(left.list()->items.size() / 16)
                                    : 0);
        return equal(left, right) == (operation == Operation::Equal);
    case Operation::In:
        return contains(*this, right, left);
    case Operation::NotIn:
        return !contains(*this, right, left);
    default:
        break;
    }
    need(left);
    need(right);
    const int result = order(*this, operation, left, right);
    return operation == Operation::Less        ? result < 0
           : operation == Operation::LessEqual ? result <= 0
           : operation == Operation::Greater   ? result > 0
                                               : result >= 0;
}

std::vector<Value> Evaluator::iterate(const Value& value)
{
    if (value.isUndefined())
        return {};
    if (const ListNode* node = value.list()) {
        if (node->kind == ListKind::Generator && std::exchange(node->consumed, true))
            return {};
        m_budget.step(static_cast<std::int64_t>(node->items.size() / 16));
        return node->items;
    }
    std::vector<Value> out;
    if (const DictNode* node = value.dict()) {
        for (const auto& [key, item] : node->entries)
            out.push_back(key);
        return out;
    }
    const Marked* marked = value.text();
    if (!marked)
        throw TemplateError(fmt::format("{} cannot be gone through", typeName(value)));
    for (std::size_t at = 0; at < marked->size();) {
        const std::size_t start = at;
        decodeValid(marked->text().data(), at);
        out.push_back(text(marked->part(start, at)));
        m_budget.step();
    }
    return out;
}

} // namespace fettle::text::jinja
