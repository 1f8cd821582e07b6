#include "text/gpt2_scanner.h"

#include "text/unicode.h"

namespace fettle::text {

const char* const kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

constexpr std::uint8_t kKinds = kLetter | kNumber | kSpace;

class Scanner
{
public:
    explicit Scanner(std::string_view text)
        : m_text(text)
        , m_classes(charClasses())
    {
    }

    /// End of the piece that begins at `at`.
    std::size_t pieceEnd(std::size_t at) const
    {
        if (m_text[at] == '\'') {
            if (const std::size_t length = contraction(at))
                return at + length;
        }
        std::size_t next = at;
        std::uint8_t kind = kindAt(next);
        if (kind == kSpace) {
            if (m_text[at] != ' ' || next >= m_text.size())
                return spaceEnd(at);
            std::size_t behind = next;
            kind = kindAt(behind);
            if (kind == kSpace)
                return spaceEnd(at);
            next = behind;
        }
        return runEnd(next, kind);
    }

private:
    /// Kind of the code point at `at`, which moves behind it: letter, number, space or 0 (other).
    std::uint8_t kindAt(std::size_t& at) const
    {
        return m_classes[decodeValid(m_text.data(), at)] & kKinds;
    }

    std::size_t runEnd(std::size_t at, std::uint8_t kind) const
    {
        while (at < m_text.size()) {
            std::size_t next = at;
            if (kindAt(next) != kind)
                break;
            at = next;
        }
        return at;
    }

    /// White space up to the end of the text, or all but its last character.
    std::size_t spaceEnd(std::size_t at) const
    {
        std::size_t last = at, end = at;
        while (end < m_text.size()) {
            std::size_t next = end;
            if (kindAt(next) != kSpace)
                break;
            last = end;
            end = next;
        }
        return end == m_text.size() || last == at ? end : last;
    }

    std::size_t contraction(std::size_t at) const
    {
        const char first = at + 1 < m_text.size() ? m_text[at + 1] : '\0';
        if (first == 's' || first == 't' || first == 'm' || first == 'd')
            return 2;
        const char second = at + 2 < m_text.size() ? m_text[at + 2] : '\0';
        if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
            (first == 'l' && second == 'l'))
            return 3;
        return 0;
    }

    std::string_view m_text;
    const std::uint8_t* m_classes;
};

} // namespace

void splitLikeGpt2(const Piece& piece, std::vector<Piece>& pieces)
{
    const Scanner scanner(piece.text);
    for (std::size_t at = 0; at < piece.text.size();) {
        const std::size_t end = scanner.pieceEnd(at);
        pieces.push_back(piece.part(at, end));
        at = end;
    }
}

} // namespace fettle::text
