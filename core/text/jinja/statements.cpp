#include "text/jinja/evaluator.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

/// Puts the turn of the loop outside back.
struct TurnGuard
{
    explicit TurnGuard(std::int32_t& turn)
        : m_turn(turn)
        , outer(turn)
    {
    }
    ~TurnGuard() { m_turn = outer; }
    TurnGuard(const TurnGuard&) = delete;
    TurnGuard& operator=(const TurnGuard&) = delete;

    std::int32_t& m_turn;
    const std::int32_t outer;
};

} // namespace

Marked Evaluator::run()
{
    execute(m_program.body);
    return std::move(m_root);
}

std::shared_ptr<Scope> Evaluator::inner() const
{
    auto scope = std::make_shared<Scope>();
    scope->outer = m_scope;
    return scope;
}

void Evaluator::write(const Marked& text)
{
    if (m_out->size() + text.size() > kMaxOutput)
        throw TemplateError("the template writes more than 16 MB");
    m_budget.step(static_cast<std::int64_t>(text.size() / 256));
    m_out->appendWritten(text, m_generation ? kGeneration : kUser, m_turn);
}

void Evaluator::inScope(const std::shared_ptr<Scope>& scope, const Block& block)
{
    const auto outer = std::exchange(m_scope, scope);
    try {
        execute(block);
    } catch (...) {
        m_scope = outer;
        throw;
    }
    m_scope = outer;
}

Marked Evaluator::capture(const Block& block, const std::shared_ptr<Scope>& scope)
{
    Marked buffer;
    Marked* const outer = std::exchange(m_out, &buffer);
    try {
        inScope(scope, block);
    } catch (...) {
        m_out = outer;
        throw;
    }
    m_out = outer;
    return buffer;
}

void Evaluator::assign(const Target& target, Value value)
{
    if (!target.several.empty()) {
        std::vector<Value> items = iterate(value);
        if (items.size() != target.several.size())
            throw TemplateError(fmt::format("{} values cannot be set to {} names", items.size(),
                                            target.several.size()));
        for (std::size_t i = 0; i < items.size(); ++i)
            assign(target.several[i], std::move(items[i]));
        return;
    }
    if (target.attribute.empty()) {
        m_scope->set(target.name, std::move(value));
        return;
    }
    const Value* object = m_scope->find(target.name);
    if (!object || !object->space())
        throw TemplateError(
            fmt::format("'{}' is no namespace, so nothing in it can be set", target.name));
    auto& entries = object->space()->entries;
    const auto known = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.first == target.attribute;
    });
    if (known != entries.end())
        known->second = std::move(value);
    else
        entries.emplace_back(target.attribute, std::move(value));
}

Evaluator::Flow Evaluator::execute(const Block& block)
{
    if (++m_evalDepth > kMaxEvalDepth) {
        --m_evalDepth;
        throw TemplateError("the template is nested too deeply while it runs");
    }
    struct Leave
    {
        int& depth;
        ~Leave() { --depth; }
    };
    const Leave leave{m_evalDepth};
    for (const auto& statement : block) {
        m_budget.step();
        Flow flow = Flow::Normal;
        try {
            flow = execute(*statement);
        } catch (TemplateError& error) {
            if (error.line == 0)
                error.line = statement->line;
            throw;
        }
        if (flow != Flow::Normal)
            return flow;
    }
    return Flow::Normal;
}

Evaluator::Flow Evaluator::execute(const Statement& statement)
{
    switch (statement.kind) {
    case StatementKind::Data:
        write(Marked(statement.text, kTrusted));
        break;
    case StatementKind::Output:
        write(printed(evaluate(*statement.expressions[0])));
        break;
    case StatementKind::If:
        for (std::size_t i = 0; i < statement.expressions.size(); ++i) {
            if (truthy(evaluate(*statement.expressions[i])))
                return execute(statement.blocks[i]);
        }
        if (statement.blocks.size() > statement.expressions.size())
            return execute(statement.blocks.back());
        break;
    case StatementKind::For:
        return forLoop(statement);
    case StatementKind::Set:
        assign(statement.target, evaluate(*statement.expressions[0]));
        break;
    case StatementKind::SetBlock:
    case StatementKind::FilterBlock:
        filteredBody(statement);
        break;
    case StatementKind::Macro:
        m_scope->set(statement.macro->name, makeMacro(statement.macro));
        break;
    case StatementKind::CallBlock: {
        const Expr& node = *statement.expressions[0];
        const Value callee = evaluate(*node.parts[0]);
        Arguments given = arguments(node);
        given.named.emplace_back("caller", makeMacro(statement.macro));
        write(printed(call(callee, given)));
        break;
    }
    case StatementKind::Generation:
        generation(statement);
        break;
    case StatementKind::With:
        with(statement);
        break;
    case StatementKind::Break:
        return Flow::Break;
    case StatementKind::Continue:
        return Flow::Continue;
    }
    return Flow::Normal;
}

/// The body of a set or filter block, through its filters, to where it goes.
void Evaluator::filteredBody(const Statement& statement)
{
    const auto scope = inner();
    scope->set("(body)", text(capture(statement.blocks[0], scope)));
    const auto outer = std::exchange(m_scope, scope);
    Value result;
    try {
        result = evaluate(*statement.expressions[0]);
    } catch (...) {
        m_scope = outer;
        throw;
    }
    m_scope = outer;
    if (statement.kind == StatementKind::SetBlock)
        assign(statement.target, std::move(result));
    else
        write(printed(result));
}

void Evaluator::generation(const Statement& statement)
{
    const bool outer = std::exchange(m_generation, true);
    try {
        inScope(inner(), statement.blocks[0]);
    } catch (...) {
        m_generation = outer;
        throw;
    }
    m_generation = outer;
}

void Evaluator::with(const Statement& statement)
{
    const auto scope = inner();
    std::vector<Value> values;
    for (const auto& expression : statement.expressions)
        values.push_back(evaluate(*expression));
    for (std::size_t i = 0; i < values.size(); ++i)
        scope->set(statement.targets[i].name, std::move(values[i]));
    inScope(scope, statement.blocks[0]);
}

Evaluator::Flow Evaluator::forLoop(const Statement& statement)
{
    std::vector<Value> items = iterate(evaluate(*statement.expressions[0]));
    if (statement.expressions[1]) {
        std::vector<Value> kept;
        const auto outer = m_scope;
        try {
            for (Value& item : items) {
                m_scope = std::make_shared<Scope>();
                m_scope->outer = outer;
                assign(statement.target, item);
                if (truthy(evaluate(*statement.expressions[1])))
                    kept.push_back(std::move(item));
            }
        } catch (...) {
            m_scope = outer;
            throw;
        }
        m_scope = outer;
        items = std::move(kept);
    }
    const Value all = list(std::move(items));
    auto loop = std::make_shared<LoopState>();
    loop->items = std::get<std::shared_ptr<const ListNode>>(all.data());
    loop->depth0 = m_loopDepth;
    const auto outer = m_scope;
    ++m_loopDepth;
    const auto leave = [&] {
        --m_loopDepth;
        m_scope = outer;
    };
    bool finished = false;
    try {
        finished = loopBody(statement, loop);
    } catch (...) {
        leave();
        throw;
    }
    leave();
    return finished || statement.blocks.size() < 2 ? Flow::Normal : execute(statement.blocks[1]);
}

/// True when a pass came to the end of the body: passes that all left it early count as none, and
/// then the else branch is written.
bool Evaluator::loopBody(const Statement& statement, const std::shared_ptr<LoopState>& loop)
{
    const auto outer = m_scope;
    const TurnGuard guard(m_turn);
    bool finished = false;
    for (loop->index = 0; loop->index < loop->items->items.size(); ++loop->index) {
        m_scope = std::make_shared<Scope>();
        m_scope->outer = outer;
        m_budget.step();
        m_scope->set("loop", Value(Value::Data(std::shared_ptr<const LoopState>(loop))));
        const Value& item = loop->items->items[loop->index];
        m_turn = item.dict() && item.dict()->message >= 0 ? item.dict()->message : guard.outer;
        assign(statement.target, item);
        const Flow flow = execute(statement.blocks[0]);
        if (flow == Flow::Break)
            break;
        finished = finished || flow == Flow::Normal;
    }
    return finished;
}

} // namespace fettle::text::jinja
