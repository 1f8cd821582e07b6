#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace fettle::text::jinja {

/// Reads expressions from a list of tokens: precedence climbing with Jinja's own order
/// (or, and, not, comparisons, + -, ~, * / // %, **, unary). Throws TemplateError.
class ExprParser
{
public:
    explicit ExprParser(std::vector<Token> tokens)
        : m_tokens(std::move(tokens))
    {
    }
    virtual ~ExprParser() = default;

protected:
    ExprPtr expression(bool conditional = true);
    /// One expression, or a tuple of several with commas. `endNames`: names that may end it.
    ExprPtr tuple(bool conditional, bool parentheses, const char* endName = nullptr);
    ExprPtr filters(ExprPtr operand, bool first); // "|a|b"; with `first` the first bar is not there
    ExprPtr postfix(ExprPtr operand);
    ExprPtr unary(bool withFilters = true);

    const Token& peek(std::size_t ahead = 0) const;
    Token next();
    bool skipName(const char* name);
    bool skipOperator(const char* name);
    void expectOperator(const char* name);
    std::string expectName(const char* what);
    [[noreturn]] void fail(const std::string& what) const;
    ExprPtr make(ExprKind kind, std::vector<ExprPtr> parts = {}, std::string name = {});
    static void measure(Expr& node, int line);

    /// Counts levels of parsing while it lives.
    class Level
    {
    public:
        explicit Level(ExprParser& parser);
        ~Level() { --m_parser.m_depth; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

    private:
        ExprParser& m_parser;
    };

    std::vector<MacroData*> m_macros; // being read, outermost first

private:
    ExprPtr binary(int lowest);
    ExprPtr prefixed(int lowest);
    ExprPtr comparison(ExprPtr left);
    ExprPtr primary();
    ExprPtr list();
    ExprPtr dict();
    ExprPtr subscript(ExprPtr object);
    ExprPtr bounds();
    ExprPtr test(ExprPtr operand);
    void arguments(Expr& call);
    int levelOf(const Token& token) const;
    void noteName(const std::string& name);

    std::vector<Token> m_tokens;
    std::size_t m_at = 0;
    int m_depth = 0;
};

} // namespace fettle::text::jinja
