#pragma once

#include "base/text.h"
#include "text/regex.h"
#include "text/unicode.h"

#include <string>
#include <string_view>
#include <vector>

namespace fettle::text {

/// A text on its way through a normalizer, and for each of its bytes where it comes from: the bytes
/// of the original, [begin, end). What is added takes the place of what stands before it, as in the
/// reference. All bytes of a character come from the same place.
class AlignedText
{
public:
    /// A character of a new text: 0 stands for the next old character, a negative number -n also
    /// for the n behind it, a positive one is added.
    struct Change
    {
        char32_t c = 0;
        int change = 0;
    };

    AlignedText() = default;
    /// A part of the original that begins there at byte `offset`; every character is its own
    /// origin.
    AlignedText(std::string_view part, std::size_t offset);

    const std::string& text() const { return m_text; }
    const std::vector<Range>& origins() const { return m_origins; }

    /// The whole text anew, character by character.
    void transform(const std::vector<Change>& changes);
    /// Each range replaced by `content`, which comes from the last character of the range.
    void replace(const std::vector<Range>& ranges, std::string_view content);
    /// Puts `front` before a text that is not empty; it comes from the first character.
    void prepend(std::string_view front);
    /// Keeps the bytes [begin, end).
    void cut(std::size_t begin, std::size_t end);

    /// Calls write(out, c) for each character; what it appends comes from c.
    template<typename Write> void each(const Write& write)
    {
        std::string out;
        std::vector<Range> origins;
        out.reserve(m_text.size());
        origins.reserve(m_text.size());
        for (std::size_t at = 0; at < m_text.size();) {
            const Range origin = m_origins[at];
            write(out, decodeValid(m_text.data(), at));
            origins.resize(out.size(), origin);
        }
        m_text = std::move(out);
        m_origins = std::move(origins);
    }

private:
    std::string m_text;
    std::vector<Range> m_origins; // one for each byte of m_text
};

/// The same for a text that nobody asks where it comes from.
template<typename Write> void eachCharacter(std::string& text, const Write& write)
{
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();)
        write(out, decodeValid(text.data(), at));
    text = std::move(out);
}
template<typename Write> void eachCharacter(AlignedText& text, const Write& write)
{
    text.each(write);
}

} // namespace fettle::text
