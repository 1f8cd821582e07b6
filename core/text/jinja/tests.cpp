#include "text/jinja/evaluator.h"

#include <algorithm>

namespace fettle::text::jinja {

namespace {

const Value& first(const Arguments& a)
{
    if (a.positional.empty())
        throw TemplateError("a test needs a value to compare with");
    return a.positional[0];
}

std::int64_t whole(const Value& value)
{
    Evaluator::need(value);
    const auto number = value.asInteger();
    if (!number)
        throw TemplateError("a test needs a whole number");
    return *number;
}

template<Operation operation> bool comparing(Evaluator& e, const Value& v, const Arguments& a)
{
    return e.compare(operation, v, first(a));
}

bool isDefined(Evaluator&, const Value& v, const Arguments&) { return !v.isUndefined(); }
bool isUndefinedTest(Evaluator&, const Value& v, const Arguments&) { return v.isUndefined(); }
bool isNone(Evaluator&, const Value& v, const Arguments&) { return v.isNone(); }
bool isBoolean(Evaluator&, const Value& v, const Arguments&) { return v.isBoolean(); }
bool isTrue(Evaluator&, const Value& v, const Arguments&) { return v.isBoolean() && truthy(v); }
bool isFalse(Evaluator&, const Value& v, const Arguments&) { return v.isBoolean() && !truthy(v); }
bool isInteger(Evaluator&, const Value& v, const Arguments&) { return v.isInteger(); }
bool isFloat(Evaluator&, const Value& v, const Arguments&) { return v.isFloat(); }
bool isNumber(Evaluator&, const Value& v, const Arguments&) { return v.isNumber(); }
bool isString(Evaluator&, const Value& v, const Arguments&) { return v.text(); }
bool isMapping(Evaluator&, const Value& v, const Arguments&) { return v.dict(); }
bool isIterable(Evaluator&, const Value& v, const Arguments&)
{
    return v.isUndefined() || v.text() || v.list() || v.dict();
}
bool isSequence(Evaluator&, const Value& v, const Arguments&)
{
    return v.isUndefined() || v.text() || v.dict() ||
           (v.list() && v.list()->kind <= ListKind::Range);
}
bool isCallable(Evaluator&, const Value& v, const Arguments&)
{
    return v.callable() || v.isUndefined();
}
bool isOdd(Evaluator&, const Value& v, const Arguments&) { return whole(v) % 2 != 0; }
bool isEven(Evaluator&, const Value& v, const Arguments&) { return whole(v) % 2 == 0; }
bool isDivisibleBy(Evaluator&, const Value& v, const Arguments& a)
{
    const std::int64_t by = whole(first(a));
    if (by == 0)
        throw TemplateError("a number is divided by zero");
    return by == -1 || whole(v) % by == 0;
}
bool isSameAs(Evaluator&, const Value& v, const Arguments& a)
{
    const Value& other = first(a);
    if (v.data().index() != other.data().index())
        return false;
    if (const DictNode* dict = v.dict())
        return dict == other.dict();
    return v.list() ? v.list() == other.list() : equal(v, other);
}
template<Casing casing> bool isCased(Evaluator& e, const Value& v, const Arguments& a)
{
    // Python's isupper(): some letter, and no letter of the other case.
    const Value method =
        e.attribute(e.text(printed(v)), casing == Casing::Upper ? "isupper" : "islower");
    (void)a;
    return truthy(e.call(method, {}));
}
bool isFilter(Evaluator&, const Value& v, const Arguments&)
{
    return findFilter(needText(v, "the name of a filter").text());
}
bool isTest(Evaluator&, const Value& v, const Arguments&)
{
    return findTest(needText(v, "the name of a test").text());
}

constexpr std::pair<std::string_view, TestFunction> kTests[] = {
    {"defined", isDefined},
    {"undefined", isUndefinedTest},
    {"none", isNone},
    {"boolean", isBoolean},
    {"true", isTrue},
    {"false", isFalse},
    {"integer", isInteger},
    {"float", isFloat},
    {"number", isNumber},
    {"string", isString},
    {"mapping", isMapping},
    {"iterable", isIterable},
    {"sequence", isSequence},
    {"callable", isCallable},
    {"odd", isOdd},
    {"even", isEven},
    {"divisibleby", isDivisibleBy},
    {"sameas", isSameAs},
    {"upper", isCased<Casing::Upper>},
    {"lower", isCased<Casing::Lower>},
    {"filter", isFilter},
    {"test", isTest},
    {"in", comparing<Operation::In>},
    {"eq", comparing<Operation::Equal>},
    {"equalto", comparing<Operation::Equal>},
    {"==", comparing<Operation::Equal>},
    {"ne", comparing<Operation::NotEqual>},
    {"!=", comparing<Operation::NotEqual>},
    {"lt", comparing<Operation::Less>},
    {"lessthan", comparing<Operation::Less>},
    {"<", comparing<Operation::Less>},
    {"le", comparing<Operation::LessEqual>},
    {"<=", comparing<Operation::LessEqual>},
    {"gt", comparing<Operation::Greater>},
    {"greaterthan", comparing<Operation::Greater>},
    {">", comparing<Operation::Greater>},
    {"ge", comparing<Operation::GreaterEqual>},
    {">=", comparing<Operation::GreaterEqual>}};

} // namespace

TestFunction findTest(std::string_view name)
{
    const auto found = std::find_if(std::begin(kTests), std::end(kTests),
                                    [&](const auto& entry) { return entry.first == name; });
    return found == std::end(kTests) ? nullptr : found->second;
}

} // namespace fettle::text::jinja
