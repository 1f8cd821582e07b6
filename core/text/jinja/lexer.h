#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fettle::text::jinja {

enum class TokenKind
{
    Data,
    BlockBegin,
    BlockEnd,
    OutputBegin,
    OutputEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End
};

struct Token
{
    TokenKind kind = TokenKind::End;
    std::string text; ///< text between tags, name, operator, or the value of a string
    int line = 1;
    std::int64_t integer = 0;
    double number = 0;

    bool is(TokenKind wanted, const char* what) const { return kind == wanted && text == what; }
    bool isName(const char* name) const { return is(TokenKind::Name, name); }
    bool isOperator(const char* name) const { return is(TokenKind::Operator, name); }
};

/// Cuts a template into tokens, white space already treated as with trim_blocks and lstrip_blocks:
/// one newline at the end of the source is dropped, so is the one behind a block or comment, and
/// the spaces before a block that begins its line. Throws TemplateError.
std::vector<Token> tokenize(const std::string& source);

} // namespace fettle::text::jinja
