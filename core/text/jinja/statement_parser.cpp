#include "text/jinja/parser.h"

#include <algorithm>
#include <fmt/format.h>
#include <initializer_list>

namespace fettle::text::jinja {

namespace {

class StatementParser final : public ExprParser
{
public:
    using ExprParser::ExprParser;

    std::shared_ptr<const Program> run()
    {
        auto program = std::make_shared<Program>();
        m_program = program.get();
        program->body = block({});
        if (peek().kind != TokenKind::End)
            fail("the end of the template is not where it is expected");
        return program;
    }

private:
    /// Statements up to a tag whose name is among `ends`; the name is the next token then.
    Block block(std::initializer_list<const char*> ends)
    {
        const Level level(*this);
        Block out;
        while (peek().kind != TokenKind::End) {
            const Token token = next();
            if (token.kind == TokenKind::Data) {
                auto statement = make(StatementKind::Data, token.line);
                statement->text = token.text;
                out.push_back(std::move(statement));
            } else if (token.kind == TokenKind::OutputBegin) {
                auto statement = make(StatementKind::Output, token.line);
                statement->expressions.push_back(tuple(true, false));
                expect(TokenKind::OutputEnd);
                out.push_back(std::move(statement));
            } else { // BlockBegin
                for (const char* end : ends) {
                    if (peek().isName(end))
                        return out;
                }
                out.push_back(statement());
            }
        }
        if (ends.size() > 0)
            fail(fmt::format("\"{}\" is missing", *(ends.end() - 1)));
        return out;
    }

    std::unique_ptr<Statement> make(StatementKind kind, int line)
    {
        auto statement = std::make_unique<Statement>();
        statement->kind = kind;
        statement->line = line;
        return statement;
    }

    void expect(TokenKind kind)
    {
        if (peek().kind != kind)
            fail(kind == TokenKind::BlockEnd ? "\"%}\" is missing" : "\"}}\" is missing");
        next();
    }

    /// The body up to `end`, and the rest of that tag.
    Block bodyUntil(const char* end)
    {
        expect(TokenKind::BlockEnd);
        Block body = block({end});
        next();
        expect(TokenKind::BlockEnd);
        return body;
    }

    std::unique_ptr<Statement> statement()
    {
        const int line = peek().line;
        const std::string name = expectName("the name of a statement");
        if (name == "if")
            return ifStatement(line);
        if (name == "for")
            return forStatement(line);
        if (name == "set")
            return setStatement(line);
        if (name == "macro")
            return macroStatement(line);
        if (name == "call")
            return callStatement(line);
        if (name == "filter") {
            auto out = make(StatementKind::FilterBlock, line);
            auto body = ExprParser::make(ExprKind::Name, {}, "(body)");
            out->expressions.push_back(filters(std::move(body), true));
            out->blocks.push_back(bodyUntil("endfilter"));
            return out;
        }
        if (name == "generation") {
            auto out = make(StatementKind::Generation, line);
            const int loops = std::exchange(m_loops, 0);
            out->blocks.push_back(bodyUntil("endgeneration"));
            m_loops = loops;
            m_program->hasGeneration = true;
            return out;
        }
        if (name == "with")
            return withStatement(line);
        if (name == "break" || name == "continue") {
            if (m_loops == 0)
                fail(fmt::format("\"{}\" stands outside a loop", name));
            expect(TokenKind::BlockEnd);
            return make(name == "break" ? StatementKind::Break : StatementKind::Continue, line);
        }
        throw TemplateError(fmt::format("the statement \"{}\" is not known here", name), line);
    }

    std::unique_ptr<Statement> ifStatement(int line)
    {
        auto out = make(StatementKind::If, line);
        while (true) {
            out->expressions.push_back(tuple(false, false));
            expect(TokenKind::BlockEnd);
            out->blocks.push_back(block({"elif", "else", "endif"}));
            if (!skipName("elif"))
                break;
        }
        if (skipName("else")) {
            expect(TokenKind::BlockEnd);
            out->blocks.push_back(block({"endif"}));
        }
        next();
        expect(TokenKind::BlockEnd);
        return out;
    }

    Target oneTarget(bool attributes)
    {
        if (skipOperator("(")) {
            Target inner = target(attributes);
            expectOperator(")");
            return inner;
        }
        Target out;
        out.name = expectName("a name to set");
        static constexpr const char* kConstants[] = {"true",  "false", "none", "True",
                                                     "False", "None",  "loop"};
        if (std::any_of(std::begin(kConstants), std::end(kConstants),
                        [&](const char* word) { return out.name == word; }))
            fail("this name cannot be set");
        if (attributes && skipOperator("."))
            out.attribute = expectName("a name behind the dot");
        return out;
    }

    Target target(bool attributes)
    {
        const Level level(*this);
        Target first = oneTarget(attributes);
        if (!peek().isOperator(","))
            return first;
        Target out;
        out.several.push_back(std::move(first));
        while (skipOperator(",")) {
            if (peek().kind != TokenKind::Name && !peek().isOperator("("))
                break;
            if (peek().isName("in"))
                break;
            out.several.push_back(oneTarget(attributes));
        }
        return out;
    }

    std::unique_ptr<Statement> forStatement(int line)
    {
        auto out = make(StatementKind::For, line);
        out->target = target(false);
        if (!skipName("in"))
            fail("\"in\" is missing");
        out->expressions.push_back(tuple(false, false, "recursive"));
        out->expressions.push_back(skipName("if") ? expression() : nullptr);
        if (peek().isName("recursive"))
            fail("recursive loops are not known here");
        expect(TokenKind::BlockEnd);
        ++m_loops;
        out->blocks.push_back(block({"else", "endfor"}));
        --m_loops;
        if (skipName("else")) {
            expect(TokenKind::BlockEnd);
            out->blocks.push_back(block({"endfor"}));
        }
        next();
        expect(TokenKind::BlockEnd);
        return out;
    }

    std::unique_ptr<Statement> setStatement(int line)
    {
        auto out = make(StatementKind::Set, line);
        out->target = target(true);
        if (skipOperator("=")) {
            out->expressions.push_back(tuple(true, false));
            expect(TokenKind::BlockEnd);
            return out;
        }
        out->kind = StatementKind::SetBlock;
        out->expressions.push_back(filters(ExprParser::make(ExprKind::Name, {}, "(body)"), false));
        out->blocks.push_back(bodyUntil("endset"));
        return out;
    }

    void parameters(MacroData& macro)
    {
        expectOperator("(");
        while (!peek().isOperator(")")) {
            Parameter parameter;
            parameter.name = expectName("the name of a parameter");
            if (skipOperator("="))
                parameter.byDefault = expression();
            else if (!macro.parameters.empty() && macro.parameters.back().byDefault)
                fail("a parameter without default stands behind one with a default");
            macro.parameters.push_back(std::move(parameter));
            if (!skipOperator(","))
                break;
        }
        expectOperator(")");
    }

    void macroBody(MacroData& macro, const char* end)
    {
        m_macros.push_back(&macro);
        const int loops = std::exchange(m_loops, 0);
        macro.body = bodyUntil(end);
        m_loops = loops;
        m_macros.pop_back();
    }

    std::unique_ptr<Statement> macroStatement(int line)
    {
        auto out = make(StatementKind::Macro, line);
        out->macro = std::make_shared<MacroData>();
        out->macro->name = expectName("the name of the macro");
        parameters(*out->macro);
        macroBody(*out->macro, "endmacro");
        return out;
    }

    std::unique_ptr<Statement> callStatement(int line)
    {
        auto out = make(StatementKind::CallBlock, line);
        out->macro = std::make_shared<MacroData>();
        out->macro->name = "caller";
        if (peek().isOperator("("))
            parameters(*out->macro);
        ExprPtr call = expression();
        if (call->kind != ExprKind::Call)
            fail("\"call\" needs a call");
        out->expressions.push_back(std::move(call));
        macroBody(*out->macro, "endcall");
        return out;
    }

    std::unique_ptr<Statement> withStatement(int line)
    {
        auto out = make(StatementKind::With, line);
        while (peek().kind != TokenKind::BlockEnd) {
            out->targets.push_back(oneTarget(false));
            if (!out->targets.back().several.empty())
                fail("\"with\" sets one name at a time");
            expectOperator("=");
            out->expressions.push_back(expression());
            if (!skipOperator(","))
                break;
        }
        out->blocks.push_back(bodyUntil("endwith"));
        return out;
    }

    Program* m_program = nullptr;
    int m_loops = 0; // around the statement being read, inside the same macro
};

} // namespace

std::shared_ptr<const Program> parse(const std::string& source)
{
    if (source.size() > kMaxSource)
        throw TemplateError("the template is longer than 1 MB");
    return StatementParser(tokenize(source)).run();
}

} // namespace fettle::text::jinja
