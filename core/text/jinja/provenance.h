#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::text::jinja {

/// What a character may do; bits of one byte.
enum Flag : std::uint8_t
{
    kUser = 0,      ///< from a message: only ever text
    kTrusted = 1,   ///< from the template: may hold special tokens
    kGeneration = 2 ///< inside {% generation %}
};

/// Where a character comes from. Numbers of messages count from 0; -1: none.
struct Origin
{
    Origin(std::uint8_t flagBits = kUser, std::int32_t ofMessage = -1)
        : flags(flagBits)
        , message(ofMessage)
    {
    }
    bool operator==(const Origin&) const = default;

    std::uint8_t flags;
    std::int32_t message;   ///< whose text it is
    std::int32_t turn = -1; ///< which message a loop was at when it was written
};

/// A string in which every character knows its origin. All operations keep the origin of each
/// character, so what a person typed never becomes trusted, however the template cuts and joins it.
class Marked
{
public:
    struct Run
    {
        std::size_t end = 0;
        Origin origin;
    };

    Marked() = default;
    Marked(std::string text, Origin origin);

    const std::string& text() const { return m_text; }
    const std::vector<Run>& runs() const { return m_runs; }
    std::size_t size() const { return m_text.size(); }
    bool empty() const { return m_text.empty(); }

    void append(std::string_view text, Origin origin);
    void append(const Marked& other) { append(other, 0, other.size()); }
    void append(const Marked& other, std::size_t begin, std::size_t end);
    /// Appends what a template writes: flags are added; the turn is noted where none is yet.
    void appendWritten(const Marked& other, std::uint8_t addFlags, std::int32_t turn);
    Marked part(std::size_t begin, std::size_t end) const; ///< bytes [begin, end)

    Origin originAt(std::size_t at) const;
    /// Flags that every character has; kTrusted for an empty string.
    std::uint8_t commonFlags() const;

private:
    std::string m_text;
    std::vector<Run> m_runs; // end ascending, the last one is size()
};

} // namespace fettle::text::jinja
