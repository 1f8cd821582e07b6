#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::text::jinja {

/// Where a character comes from and where it goes; bits of one byte.
enum Origin : std::uint8_t
{
    kUser = 0,      ///< from a message: only ever text
    kTrusted = 1,   ///< from the template: may hold special tokens
    kGeneration = 2 ///< inside {% generation %}
};

/// A string in which every character knows its origin. All operations keep the origin of each
/// character, so what a person typed never becomes trusted, however the template cuts and joins it.
class Marked
{
public:
    struct Run
    {
        std::size_t end = 0;
        std::uint8_t flags = kUser;
    };

    Marked() = default;
    Marked(std::string text, std::uint8_t flags);

    const std::string& text() const { return m_text; }
    const std::vector<Run>& runs() const { return m_runs; }
    std::size_t size() const { return m_text.size(); }
    bool empty() const { return m_text.empty(); }

    void append(std::string_view text, std::uint8_t flags);
    void append(const Marked& other) { append(other, 0, other.size()); }
    void append(const Marked& other, std::size_t begin, std::size_t end, std::uint8_t addFlags = 0);
    Marked part(std::size_t begin, std::size_t end) const; ///< bytes [begin, end)

    std::uint8_t flagsAt(std::size_t at) const;
    /// Flags that every character has; kTrusted for an empty string.
    std::uint8_t commonFlags() const;

private:
    std::string m_text;
    std::vector<Run> m_runs; // end ascending, the last one is size()
};

} // namespace fettle::text::jinja
