#include "text/jinja/evaluator.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

/// Counts nested evaluation while it lives.
class Nested
{
public:
    explicit Nested(int& depth)
        : m_depth(depth)
    {
        if (++m_depth > kMaxEvalDepth) {
            --m_depth;
            throw TemplateError("the template is nested too deeply while it runs");
        }
    }
    ~Nested() { --m_depth; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

private:
    int& m_depth;
};

} // namespace

Evaluator::Evaluator(const Program& program, std::tm now)
    : m_program(program)
    , m_now(now)
    , m_scope(std::make_shared<Scope>())
{
    defineGlobals(*this);
}

Evaluator::~Evaluator() = default;

void Evaluator::need(const Value& value)
{
    if (const auto* undefined = std::get_if<Undefined>(&value.data()))
        throw TemplateError(undefined->hint ? *undefined->hint : "a value is undefined");
}

Value Evaluator::text(Marked text, bool markup)
{
    auto node = std::make_shared<TextNode>();
    node->charge = Charge(&m_budget, text.size() + text.runs().size() * sizeof(Marked::Run) +
                                         sizeof(TextNode));
    node->text = std::move(text);
    node->markup = markup;
    return Value(Value::Data(std::shared_ptr<const TextNode>(std::move(node))));
}

Value Evaluator::list(std::vector<Value> items, ListKind kind)
{
    auto node = std::make_shared<ListNode>();
    node->charge = Charge(&m_budget, items.size() * sizeof(Value) + sizeof(ListNode));
    for (const Value& item : items)
        node->depth = std::max(node->depth, item.depth() + 1);
    if (node->depth > kMaxValueDepth)
        throw TemplateError(fmt::format("a value is nested deeper than {} levels", kMaxValueDepth));
    node->items = std::move(items);
    node->kind = kind;
    return Value(Value::Data(std::shared_ptr<const ListNode>(std::move(node))));
}

Value Evaluator::dict(std::vector<std::pair<Value, Value>> entries, std::int32_t message)
{
    auto node = std::make_shared<DictNode>();
    node->message = message;
    node->charge = Charge(&m_budget, entries.size() * 2 * sizeof(Value) + sizeof(DictNode));
    for (auto& [key, value] : entries) {
        if (!key.text() && !key.isNumber() && !key.isNone() &&
            !(key.list() && key.list()->kind == ListKind::Tuple))
            throw TemplateError(fmt::format("{} cannot be a key", typeName(key)));
        node->depth = std::max({node->depth, value.depth() + 1, key.depth() + 1});
        m_budget.step(static_cast<std::int64_t>(node->entries.size() / 16));
        auto known =
            std::find_if(node->entries.begin(), node->entries.end(),
                         [&, k = &key](const auto& entry) { return equal(entry.first, *k); });
        if (known != node->entries.end())
            known->second = std::move(value);
        else
            node->entries.emplace_back(std::move(key), std::move(value));
    }
    if (node->depth > kMaxValueDepth)
        throw TemplateError(fmt::format("a value is nested deeper than {} levels", kMaxValueDepth));
    return Value(Value::Data(std::shared_ptr<const DictNode>(std::move(node))));
}

Value Evaluator::space()
{
    m_budget.take(sizeof(Namespace) + 64);
    return Value(Value::Data(&m_spaces.emplace_back()));
}

Value Evaluator::evaluate(const Expr& node)
{
    const Nested nested(m_evalDepth);
    m_budget.step();
    try {
        return evaluateNode(node);
    } catch (TemplateError& error) {
        if (error.line == 0)
            error.line = node.line;
        throw;
    }
}

Value Evaluator::evaluateNode(const Expr& node)
{
    const auto part = [&](std::size_t i) { return evaluate(*node.parts[i]); };
    switch (node.kind) {
    case ExprKind::Constant:
        return node.constant;
    case ExprKind::Name:
        if (const Value* value = m_scope->find(node.name))
            return *value;
        return Value::undefined(fmt::format("'{}' is undefined", node.name));
    case ExprKind::List:
    case ExprKind::Tuple:
    case ExprKind::Dict:
        return literal(node);
    case ExprKind::Attribute:
        return attribute(part(0), node.name);
    case ExprKind::Item: {
        const Value object = part(0);
        return item(object, part(1));
    }
    case ExprKind::Slice:
        return slice(node);
    case ExprKind::Call: {
        const Value callee = part(0);
        return call(callee, arguments(node));
    }
    case ExprKind::Filter: {
        const Value input = part(0);
        return filter(node.name, input, arguments(node));
    }
    case ExprKind::Test: {
        const Value input = part(0);
        return Value::boolean(test(node.name, input, arguments(node)) != node.negated);
    }
    case ExprKind::Not:
    case ExprKind::And:
    case ExprKind::Or:
    case ExprKind::Conditional:
        return logic(node);
    case ExprKind::Negate:
        return binary(Operation::Subtract, Value::integer(0), part(0));
    case ExprKind::Plus:
        return binary(Operation::Add, Value::integer(0), part(0));
    case ExprKind::Binary: {
        const Value left = part(0);
        return binary(node.operation, left, part(1));
    }
    case ExprKind::Compare:
        return compareChain(node);
    case ExprKind::Concat:
        return concat(node);
    }
    return Value();
}

Value Evaluator::literal(const Expr& node)
{
    if (node.kind == ExprKind::Dict) {
        std::vector<std::pair<Value, Value>> entries;
        for (std::size_t i = 0; i + 1 < node.parts.size(); i += 2) {
            Value key = evaluate(*node.parts[i]);
            entries.emplace_back(std::move(key), evaluate(*node.parts[i + 1]));
        }
        return dict(std::move(entries));
    }
    std::vector<Value> items;
    for (const auto& item : node.parts)
        items.push_back(evaluate(*item));
    return list(std::move(items), node.kind == ExprKind::List ? ListKind::List : ListKind::Tuple);
}

/// Operators that do not always look at all their parts.
Value Evaluator::logic(const Expr& node)
{
    Value first = evaluate(*node.parts[0]);
    const bool yes = truthy(first);
    if (node.kind == ExprKind::Not)
        return Value::boolean(!yes);
    if (node.kind == ExprKind::Conditional) {
        if (const Expr* branch = node.parts[yes ? 1 : 2].get())
            return evaluate(*branch);
        return Value::undefined("an inline if without else had a false condition");
    }
    return yes == (node.kind == ExprKind::And) ? evaluate(*node.parts[1]) : first;
}

Value Evaluator::compareChain(const Expr& node)
{
    Value left = evaluate(*node.parts[0]);
    for (std::size_t i = 0; i < node.operations.size(); ++i) {
        Value right = evaluate(*node.parts[i + 1]);
        if (!compare(node.operations[i], left, right))
            return Value::boolean(false);
        left = std::move(right);
    }
    return Value::boolean(true);
}

Value Evaluator::concat(const Expr& node)
{
    Marked out;
    for (const auto& part : node.parts) {
        const Marked next = printed(evaluate(*part));
        if (out.size() + next.size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
        out.append(next);
    }
    return text(std::move(out));
}

Arguments Evaluator::arguments(const Expr& node)
{
    Arguments out;
    for (std::size_t i = 1; i < node.parts.size(); ++i)
        out.positional.push_back(evaluate(*node.parts[i]));
    for (const auto& [name, part] : node.named)
        out.named.emplace_back(name, evaluate(*part));
    if (node.spread) {
        for (Value& value : iterate(evaluate(*node.spread)))
            out.positional.push_back(std::move(value));
    }
    if (node.spreadNamed) {
        const Value value = evaluate(*node.spreadNamed);
        const DictNode* dict = value.dict();
        if (!dict)
            throw TemplateError("the argument behind ** is no dict");
        for (const auto& [key, item] : dict->entries)
            out.named.emplace_back(printed(key).text(), item);
    }
    return out;
}

Value Evaluator::call(const Value& callee, const Arguments& arguments)
{
    need(callee);
    const Callable* callable = callee.callable();
    if (!callable)
        throw TemplateError(fmt::format("{} cannot be called", typeName(callee)));
    if (callable->macro)
        return callMacro(*callable, arguments);
    return callable->function(*this, *callable, arguments);
}

Value Evaluator::makeMacro(const std::shared_ptr<const MacroData>& macro)
{
    m_budget.take(sizeof(Callable));
    auto callable = std::make_shared<Callable>();
    callable->name = "Macro '" + macro->name + "'";
    callable->macro = macro;
    callable->home = m_scope;
    return Value(Value::Data(std::shared_ptr<const Callable>(std::move(callable))));
}

/// The scope of a call: what was given beside the parameters, under Jinja's names.
std::shared_ptr<Scope> Evaluator::macroScope(const Callable& callable, const Arguments& arguments)
{
    const MacroData& macro = *callable.macro;
    auto scope = std::make_shared<Scope>();
    scope->outer = callable.home.lock();
    if (!scope->outer)
        throw TemplateError(
            fmt::format("the macro '{}' is used outside the block that defines it", macro.name));
    const auto isParameter = [&](const std::string& name) {
        return std::any_of(macro.parameters.begin(), macro.parameters.end(),
                           [&](const Parameter& parameter) { return parameter.name == name; });
    };
    const std::size_t count = macro.parameters.size();
    std::vector<Value> rest;
    for (std::size_t i = count; i < arguments.positional.size(); ++i)
        rest.push_back(arguments.positional[i]);
    if (!rest.empty() && !macro.usesVarargs)
        throw TemplateError(
            fmt::format("the macro '{}' takes not more than {} arguments", macro.name, count));
    std::vector<std::pair<Value, Value>> restNamed;
    Value caller = Value::undefined("no caller is defined");
    for (const auto& [name, value] : arguments.named) {
        if (isParameter(name))
            continue;
        if (name == "caller")
            caller = value;
        else if (macro.usesKwargs)
            restNamed.emplace_back(text(name, kUser), value);
        else
            throw TemplateError(
                fmt::format("the macro '{}' has no parameter '{}'", macro.name, name));
    }
    if (macro.usesVarargs)
        scope->set("varargs", list(std::move(rest), ListKind::Tuple));
    if (macro.usesKwargs)
        scope->set("kwargs", dict(std::move(restNamed)));
    if (macro.usesCaller)
        scope->set("caller", caller);
    return scope;
}

Value Evaluator::callMacro(const Callable& callable, const Arguments& arguments)
{
    const MacroData& macro = *callable.macro;
    if (m_macroDepth >= kMaxMacroDepth)
        throw TemplateError(
            fmt::format("macros call each other deeper than {} levels", kMaxMacroDepth));
    const auto scope = macroScope(callable, arguments);
    struct Restore
    {
        Evaluator& evaluator;
        std::shared_ptr<Scope> outer;
        ~Restore()
        {
            evaluator.m_scope = outer;
            --evaluator.m_macroDepth;
        }
    };
    ++m_macroDepth;
    const Restore restore{*this, std::exchange(m_scope, scope)};
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
        const Parameter& parameter = macro.parameters[i];
        if (const Value* given = arguments.find(parameter.name, i))
            scope->set(parameter.name, *given);
        else if (parameter.byDefault)
            scope->set(parameter.name, evaluate(*parameter.byDefault));
        else
            scope->set(parameter.name, Value::undefined(fmt::format(
                                           "parameter '{}' was not provided", parameter.name)));
    }
    return text(capture(macro.body, scope));
}

Value Evaluator::filter(const std::string& name, const Value& input, const Arguments& arguments)
{
    const FilterFunction function = findFilter(name);
    if (!function)
        throw TemplateError(fmt::format("there is no filter named '{}'", name));
    return function(*this, input, arguments);
}

bool Evaluator::test(const std::string& name, const Value& input, const Arguments& arguments)
{
    const TestFunction function = findTest(name);
    if (!function)
        throw TemplateError(fmt::format("there is no test named '{}'", name));
    return function(*this, input, arguments);
}

} // namespace fettle::text::jinja
