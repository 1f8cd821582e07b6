#include "text/jinja/lexer.h"

#include "base/text.h"
#include "text/jinja/budget.h"
#include "text/unicode.h"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <string_view>

namespace fettle::text::jinja {

namespace {

/// Newlines as \n, and without the one at the very end.
std::string normalized(const std::string& source)
{
    std::string out;
    out.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n')
                ++i;
        } else {
            out += source[i];
        }
    }
    if (!out.empty() && out.back() == '\n')
        out.pop_back();
    return out;
}

bool isNameStart(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool isDigit(char c) { return c >= '0' && c <= '9'; }

std::size_t spaceEndFrom(std::string_view text, std::size_t at)
{
    while (at < text.size()) {
        std::size_t next = at;
        const char32_t c = decodeValid(text.data(), next);
        if (!isClass(c, kSpace) && !(c >= 0x1C && c <= 0x1F))
            break;
        at = next;
    }
    return at;
}

std::string_view withoutSpaceAtEnd(std::string_view text)
{
    std::size_t length = 0;
    while (!text.empty()) {
        const char32_t c = lastCodePoint(text, length);
        if (!isClass(c, kSpace) && !(c >= 0x1C && c <= 0x1F))
            break;
        text.remove_suffix(length);
    }
    return text;
}

class Lexer
{
public:
    explicit Lexer(const std::string& source)
        : m_source(normalized(source))
    {
    }

    std::vector<Token> run()
    {
        while (m_at < m_source.size())
            betweenTags();
        add(TokenKind::End, "");
        return std::move(m_tokens);
    }

private:
    void add(TokenKind kind, std::string text)
    {
        Token token;
        token.kind = kind;
        token.text = std::move(text);
        token.line = m_line;
        m_tokens.push_back(std::move(token));
    }
    [[noreturn]] void fail(const std::string& what) const { throw TemplateError(what, m_line); }
    bool starts(std::string_view text) const
    {
        return m_source.compare(m_at, text.size(), text) == 0;
    }

    /// Moves on to `to`, counting lines; a line starts when the text passed ends with a newline.
    void advance(std::size_t to)
    {
        for (; m_at < to; ++m_at)
            m_line += m_source[m_at] == '\n';
        m_lineStarts = m_at > 0 && m_source[m_at - 1] == '\n';
    }

    void addData(std::size_t end, char sign, bool block)
    {
        std::string_view data = std::string_view(m_source).substr(m_at, end - m_at);
        if (sign == '-') {
            data = withoutSpaceAtEnd(data);
        } else if (sign != '+' && block) {
            const auto newline = data.rfind('\n');
            const std::size_t lineStart = newline == std::string_view::npos ? 0 : newline + 1;
            if ((lineStart > 0 || m_lineStarts) && spaceEndFrom(data, lineStart) == data.size())
                data = data.substr(0, lineStart);
        }
        if (!data.empty())
            add(TokenKind::Data, std::string(data));
    }

    void betweenTags()
    {
        std::size_t tag = m_at;
        while (true) {
            tag = m_source.find('{', tag);
            if (tag == std::string::npos || tag + 1 >= m_source.size()) {
                addData(m_source.size(), '+', false);
                advance(m_source.size());
                return;
            }
            const char kind = m_source[tag + 1];
            if (kind == '{' || kind == '%' || kind == '#')
                break;
            ++tag;
        }
        const char kind = m_source[tag + 1];
        const char sign = tag + 2 < m_source.size() ? m_source[tag + 2] : '\0';
        const bool signedTag = sign == '-' || sign == '+';
        addData(tag, signedTag ? sign : '\0', kind != '{');
        advance(tag + 2 + (signedTag ? 1 : 0));
        if (kind == '#') {
            skipComment();
        } else if (kind == '%' && rawFollows()) {
            raw();
        } else {
            add(kind == '{' ? TokenKind::OutputBegin : TokenKind::BlockBegin, "");
            insideTag(kind == '{' ? "}}" : "%}", kind == '%');
        }
    }

    /// Ends a tag at `m_at`, where its end mark (with an optional sign) stands.
    void endTag(std::size_t end, bool strip, bool trimNewline)
    {
        if (strip)
            end = spaceEndFrom(m_source, end);
        else if (trimNewline && end < m_source.size() && m_source[end] == '\n')
            ++end;
        advance(end);
    }

    void skipComment()
    {
        const auto end = m_source.find("#}", m_at);
        if (end == std::string::npos)
            fail("a comment is not closed");
        const char sign = end > m_at ? m_source[end - 1] : '\0';
        endTag(end + 2, sign == '-', sign != '+');
    }

    bool rawFollows() const
    {
        std::size_t at = spaceEndFrom(m_source, m_at);
        if (m_source.compare(at, 3, "raw") != 0)
            return false;
        at = spaceEndFrom(m_source, at + 3);
        return m_source.compare(at, 2, "%}") == 0 || m_source.compare(at, 3, "-%}") == 0;
    }

    void raw()
    {
        std::size_t at = spaceEndFrom(m_source, spaceEndFrom(m_source, m_at) + 3);
        const bool strip = m_source[at] == '-';
        endTag(at + (strip ? 3 : 2), strip, false);
        for (std::size_t tag = m_source.find("{%", m_at); tag != std::string::npos;
             tag = m_source.find("{%", tag + 2)) {
            at = tag + 2;
            const char sign = at < m_source.size() ? m_source[at] : '\0';
            if (sign == '-' || sign == '+')
                ++at;
            at = spaceEndFrom(m_source, at);
            if (m_source.compare(at, 6, "endraw") != 0)
                continue;
            at = spaceEndFrom(m_source, at + 6);
            const char endSign = at < m_source.size() ? m_source[at] : '\0';
            if (endSign == '-' || endSign == '+')
                ++at;
            if (m_source.compare(at, 2, "%}") != 0)
                continue;
            addData(tag, sign == '-' || sign == '+' ? sign : '\0', true);
            endTag(at + 2, endSign == '-', endSign != '+');
            return;
        }
        fail("a raw block is not closed");
    }

    void insideTag(std::string_view close, bool block)
    {
        std::string brackets;
        while (true) {
            advance(spaceEndFrom(m_source, m_at));
            if (m_at >= m_source.size())
                fail("a tag is not closed");
            if (brackets.empty()) {
                const bool minus =
                    m_source[m_at] == '-' && m_source.compare(m_at + 1, 2, close) == 0;
                const bool plus =
                    block && m_source[m_at] == '+' && m_source.compare(m_at + 1, 2, close) == 0;
                if (minus || plus || starts(close)) {
                    add(block ? TokenKind::BlockEnd : TokenKind::OutputEnd, "");
                    endTag(m_at + (minus || plus ? 3 : 2), minus, block && !plus);
                    return;
                }
            }
            const char c = m_source[m_at];
            if (isDigit(c))
                number();
            else if (isNameStart(c))
                name();
            else if (c == '"' || c == '\'')
                string(c);
            else
                oper(brackets);
        }
    }

    void name()
    {
        std::size_t end = m_at;
        while (end < m_source.size() && (isNameStart(m_source[end]) || isDigit(m_source[end])))
            ++end;
        add(TokenKind::Name, m_source.substr(m_at, end - m_at));
        advance(end);
    }

    void number()
    {
        std::size_t end = m_at;
        std::string digits;
        int base = 10;
        bool real = false;
        const auto take = [&](auto accept) {
            while (end < m_source.size() && (accept(m_source[end]) || m_source[end] == '_')) {
                if (m_source[end] != '_')
                    digits += m_source[end];
                ++end;
            }
        };
        const char second = m_at + 1 < m_source.size() ? m_source[m_at + 1] : '\0';
        if (m_source[m_at] == '0' && (second == 'x' || second == 'X' || second == 'b' ||
                                      second == 'B' || second == 'o' || second == 'O')) {
            base = second == 'x' || second == 'X' ? 16 : second == 'b' || second == 'B' ? 2 : 8;
            end += 2;
            take([](char c) {
                return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            });
        } else {
            take(isDigit);
            const auto digitAt = [&](std::size_t i) {
                return i < m_source.size() && isDigit(m_source[i]);
            };
            if (end < m_source.size() && m_source[end] == '.' && digitAt(end + 1)) {
                digits += m_source[end++];
                take(isDigit);
                real = true;
            }
            if (end < m_source.size() && (m_source[end] == 'e' || m_source[end] == 'E')) {
                const bool sign = end + 1 < m_source.size() &&
                                  (m_source[end + 1] == '+' || m_source[end + 1] == '-');
                if (digitAt(end + (sign ? 2 : 1))) {
                    digits += m_source.substr(end, sign ? 2 : 1);
                    end += sign ? 2 : 1;
                    take(isDigit);
                    real = true;
                }
            }
        }
        add(real ? TokenKind::Float : TokenKind::Integer, m_source.substr(m_at, end - m_at));
        Token& token = m_tokens.back();
        const char* last = digits.data() + digits.size();
        const auto result = real ? std::from_chars(digits.data(), last, token.number)
                                 : std::from_chars(digits.data(), last, token.integer, base);
        if (result.ec != std::errc() || result.ptr != last)
            fail("a number is too large or not understood");
        advance(end);
    }

    void string(char quote)
    {
        std::string value;
        std::size_t i = m_at + 1;
        for (; i < m_source.size() && m_source[i] != quote; ++i) {
            if (m_source[i] != '\\') {
                value += m_source[i];
                continue;
            }
            if (++i >= m_source.size())
                break;
            i = escape(i, value);
        }
        if (i >= m_source.size())
            fail("a string is not closed");
        add(TokenKind::String, std::move(value));
        advance(i + 1);
    }

    /// Python's escapes; returns the last position used.
    std::size_t escape(std::size_t i, std::string& value) const
    {
        const char c = m_source[i];
        static constexpr std::array<std::pair<char, char>, 10> kSimple = {{{'n', '\n'},
                                                                           {'t', '\t'},
                                                                           {'r', '\r'},
                                                                           {'\\', '\\'},
                                                                           {'\'', '\''},
                                                                           {'"', '"'},
                                                                           {'a', '\a'},
                                                                           {'b', '\b'},
                                                                           {'f', '\f'},
                                                                           {'v', '\v'}}};
        for (const auto& [name, meaning] : kSimple) {
            if (c == name) {
                value += meaning;
                return i;
            }
        }
        if (c == '\n') // a continued line
            return i;
        const std::size_t hexDigits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        unsigned code = 0;
        if (hexDigits > 0) {
            const char* first = m_source.data() + std::min(i + 1, m_source.size());
            const char* last = m_source.data() + std::min(i + 1 + hexDigits, m_source.size());
            const auto result = std::from_chars(first, last, code, 16);
            if (result.ptr != first + hexDigits || code > 0x10FFFF ||
                (code >= 0xD800 && code < 0xE000))
                fail("an escape in a string is not understood");
            appendUtf8(value, code);
            return i + hexDigits;
        }
        if (c >= '0' && c <= '7') {
            std::size_t end = i;
            while (end < m_source.size() && end < i + 3 && m_source[end] >= '0' &&
                   m_source[end] <= '7')
                code = code * 8 + static_cast<unsigned>(m_source[end++] - '0');
            appendUtf8(value, code);
            return end - 1;
        }
        value += '\\';
        value += c;
        return i;
    }

    void oper(std::string& brackets)
    {
        static constexpr std::array kTwo = {"//", "**", "==", "!=", ">=", "<="};
        std::string text(1, m_source[m_at]);
        for (const char* two : kTwo) {
            if (starts(two))
                text = two;
        }
        const char c = text[0];
        if (c == '(' || c == '[' || c == '{') {
            brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if (c == ')' || c == ']' || c == '}') {
            if (brackets.empty() || brackets.back() != c)
                fail(fmt::format("\"{}\" has no opening bracket", c));
            brackets.pop_back();
        } else if (text.size() == 1 &&
                   std::string_view("+-*/%~<>=.:|,;").find(c) == std::string_view::npos) {
            fail("a character is not understood");
        }
        add(TokenKind::Operator, text);
        advance(m_at + text.size());
    }

    std::string m_source;
    std::vector<Token> m_tokens;
    std::size_t m_at = 0;
    int m_line = 1;
    bool m_lineStarts = true;
};

} // namespace

std::vector<Token> tokenize(const std::string& source) { return Lexer(source).run(); }

} // namespace fettle::text::jinja
