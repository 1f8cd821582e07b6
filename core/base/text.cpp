#include "base/text.h"

#include <array>
#include <cmath>
#include <fmt/format.h>

namespace fettle {

char32_t nextCodePoint(std::string_view text, std::size_t& at)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(at++);
    if (first < 0x80)
        return first;
    int more = 0;
    unsigned low = 0x80, high = 0xBF;  // allowed range of the second byte (Unicode table 3-7)
    char32_t value = 0;
    if (first >= 0xC2 && first <= 0xDF) {
        more = 1, value = first & 0x1F;
    } else if (first >= 0xE0 && first <= 0xEF) {
        more = 2, value = first & 0x0F;
        low = first == 0xE0 ? 0xA0 : 0x80;
        high = first == 0xED ? 0x9F : 0xBF;
    } else if (first >= 0xF0 && first <= 0xF4) {
        more = 3, value = first & 0x07;
        low = first == 0xF0 ? 0x90 : 0x80;
        high = first == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0xFFFD;
    }
    for (; more > 0; --more) {
        if (at >= text.size() || byte(at) < low || byte(at) > high)
            return 0xFFFD;
        value = value << 6 | (byte(at++) & 0x3F);
        low = 0x80, high = 0xBF;
    }
    return value;
}

void appendUtf8(std::string& out, char32_t c)
{
    const auto put = [&](char32_t value) { out += static_cast<char>(value); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    }
}

bool isValidUtf8(std::string_view text)
{
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        if (nextCodePoint(text, at) == 0xFFFD && text.substr(start, at - start) != "\xEF\xBF\xBD")
            return false;
    }
    return true;
}

std::string toValidUtf8(std::string_view text, std::int64_t* replaced)
{
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t c = nextCodePoint(text, at);
        if (c == 0xFFFD && text.substr(start, at - start) != "\xEF\xBF\xBD" && replaced)
            ++*replaced;
        appendUtf8(out, c);
    }
    return out;
}

std::string quotable(std::string_view name, std::size_t most)
{
    std::string out;
    for (std::size_t at = 0; at < name.size();) {
        char32_t c = nextCodePoint(name, at);
        const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        const bool direction = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
                               c == 0x2028 || c == 0x2029;
        if (control || direction)
            c = 0xFFFD;
        std::string next;
        appendUtf8(next, c);
        if (out.size() + next.size() > most)
            return out + "...";
        out += next;
    }
    return out;
}

std::size_t completeUtf8Prefix(std::string_view text)
{
    for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
        const auto c = static_cast<unsigned char>(text[text.size() - back]);
        if (c < 0x80)
            return text.size();
        if (c >= 0xC0) {
            const std::size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
            return need > back ? text.size() - back : text.size();
        }
    }
    return text.size();
}

std::string trimmed(std::string_view text)
{
    constexpr std::string_view kSpace = " \t\r\n\f\v";
    const auto first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos)
        return {};
    return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

std::vector<std::string> splitOn(std::string_view text, char separator)
{
    std::vector<std::string> parts;
    std::size_t start = 0;
    while (true) {
        const auto end = text.find(separator, start);
        parts.emplace_back(text.substr(start, end == std::string_view::npos ? end : end - start));
        if (end == std::string_view::npos)
            return parts;
        start = end + 1;
    }
}

std::string lowerAscii(std::string_view text)
{
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::string humanBytes(std::uint64_t bytes)
{
    constexpr std::array kUnits = {"bytes", "kB", "MB", "GB", "TB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < kUnits.size())
        value /= 1000, ++unit;
    if (unit == 0)
        return fmt::format("{} bytes", bytes);
    return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                      : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string humanDuration(double seconds)
{
    const auto total = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
    if (total < 60)
        return fmt::format("{} s", total);
    if (total < 3600)
        return fmt::format("{} min {} s", total / 60, total % 60);
    return fmt::format("{} h {} min", total / 3600, total / 60 % 60);
}

} // namespace fettle
