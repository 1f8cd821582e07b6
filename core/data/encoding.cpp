// Which encoding a file of text has: the part of text_source.h that only looks.

#include "base/text.h"
#include "data/text_source.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <uchardet.h>
#include <unicode/ucnv.h>

namespace fettle::data {

namespace {

constexpr std::size_t kChunk = 1u << 20;

struct Mark
{
    std::string_view bytes;
    const char* name;
};

// UTF-32LE before UTF-16LE: its mark starts with the other's.
constexpr std::array<Mark, 5> kMarks = {{{std::string_view("\xEF\xBB\xBF", 3), "UTF-8"},
                                         {std::string_view("\xFF\xFE\0\0", 4), "UTF-32LE"},
                                         {std::string_view("\0\0\xFE\xFF", 4), "UTF-32BE"},
                                         {std::string_view("\xFF\xFE", 2), "UTF-16LE"},
                                         {std::string_view("\xFE\xFF", 2), "UTF-16BE"}}};

struct Utf8Counts
{
    std::uint64_t good = 0, bad = 0; ///< characters beyond ASCII; ill-formed places
};

/// Counts the characters beyond ASCII of a whole stream that is given in pieces.
class Utf8Check
{
public:
    void add(std::string_view bytes)
    {
        m_rest.append(bytes);
        const std::size_t complete = completeUtf8Prefix(m_rest);
        check(std::string_view(m_rest).substr(0, complete));
        m_rest.erase(0, complete);
    }
    Utf8Counts finish()
    {
        check(m_rest);
        return m_counts;
    }

private:
    void check(std::string_view text)
    {
        for (std::size_t at = 0; at < text.size();) {
            std::uint64_t word = 0;
            if (at + 8 <= text.size())
                std::memcpy(&word, text.data() + at, 8);
            else
                word = ~0ull;
            if ((word & 0x8080808080808080ull) == 0) {
                at += 8;
                continue;
            }
            const std::size_t start = at;
            const char32_t c = nextCodePoint(text, at);
            if (c == 0xFFFD && text.substr(start, at - start) != "\xEF\xBF\xBD")
                ++m_counts.bad;
            else if (c >= 0x80)
                ++m_counts.good;
        }
    }

    std::string m_rest;
    Utf8Counts m_counts;
};

/// UTF-16 without a mark: nearly every second byte is zero in Western text.
std::string utf16Guess(std::string_view head)
{
    std::array<std::size_t, 2> zeros{};
    for (std::size_t i = 0; i < head.size(); ++i) {
        if (head[i] == '\0')
            ++zeros[i % 2];
    }
    const std::size_t half = head.size() / 2;
    if (half >= 4 && zeros[1] > half / 2 && zeros[0] < half / 20)
        return "UTF-16LE";
    if (half >= 4 && zeros[0] > half / 2 && zeros[1] < half / 20)
        return "UTF-16BE";
    return {};
}

bool looksBinary(std::string_view head)
{
    const auto isControl = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 && std::strchr("\t\n\r\f\x1b", c) == nullptr;
    };
    const auto controls = std::count_if(head.begin(), head.end(), isControl);
    return head.find('\0') != std::string_view::npos ||
           controls > static_cast<std::ptrdiff_t>(head.size() / 10);
}

std::string uchardetGuess(std::string_view head)
{
    const std::unique_ptr<std::remove_pointer_t<uchardet_t>, decltype(&uchardet_delete)> detector(
        uchardet_new(), &uchardet_delete);
    uchardet_handle_data(detector.get(), head.data(), head.size());
    uchardet_data_end(detector.get());
    std::string name = uchardet_get_charset(detector.get());
    if (name.empty() || name == "ASCII" || name == "UTF-8")
        name = "WINDOWS-1252"; // every byte has a meaning there that is usual in the West
    if (name == "ISO-8859-1" || name == "WINDOWS-1252")
        return "windows-1252"; // a superset of Latin-1 but for control characters
    return name;
}

Encoding markedEncoding(std::string_view head)
{
    for (const auto& mark : kMarks) {
        if (head.starts_with(mark.bytes))
            return {mark.name, true, false, mark.bytes.size()};
    }
    return {};
}

} // namespace

Result<Encoding> detectEncoding(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    std::string buffer(kChunk, '\0');
    const auto readChunk = [&] {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        return std::string_view(buffer.data(), static_cast<std::size_t>(in.gcount()));
    };
    std::string head(readChunk());
    if (in.bad() || !in.is_open())
        return Error{ErrorCode::Io, "the file cannot be read", file.filename().string(),
                     "Check the disk and the permissions"};
    if (Encoding marked = markedEncoding(head); !marked.name.empty() && marked.name != "UTF-8")
        return marked;
    const auto start = std::string_view(head).substr(0, 65536);
    if (const std::string wide = utf16Guess(start); !wide.empty())
        return Encoding{wide, false, false, 0};
    if (looksBinary(start))
        return Error{ErrorCode::InvalidInput, "this is a binary file, not text",
                     file.filename().string(),
                     "Choose a file of text: CSV, JSON, JSON Lines or TXT"};
    Utf8Check check;
    check.add(head);
    while (in) {
        check.add(readChunk());
    }
    const Utf8Counts counts = check.finish();
    const std::uint64_t bom = markedEncoding(head).bom;
    if (counts.bad == 0)
        return Encoding{"UTF-8", true, false, bom};
    // A text in another encoding has hardly any place that is well-formed UTF-8 by accident.
    if (bom > 0 || counts.good >= 20 * counts.bad)
        return Encoding{"UTF-8", true, true, bom};
    return Encoding{uchardetGuess(head), false, false, 0};
}

Result<Encoding> statedEncoding(const std::filesystem::path& file, const std::string& name)
{
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<UConverter, decltype(&ucnv_close)> converter(
        ucnv_open(name.empty() ? "?" : name.c_str(), &status), &ucnv_close);
    if (U_FAILURE(status) || !converter)
        return Error{ErrorCode::InvalidInput, "the stated encoding is not known", "encoding",
                     "Use a name like UTF-8, windows-1252 or UTF-16LE"};
    UErrorCode nameStatus = U_ZERO_ERROR;
    const char* canonical = ucnv_getName(converter.get(), &nameStatus);
    std::array<char, 4> start{};
    std::ifstream in(file, std::ios::binary);
    in.read(start.data(), start.size());
    const std::string_view head(start.data(), static_cast<std::size_t>(in.gcount()));
    const Encoding marked = markedEncoding(head);
    Encoding encoding{name, true, false, 0};
    if (U_SUCCESS(nameStatus) && std::string_view(canonical) == "UTF-8") {
        encoding = {"UTF-8", true, true, 0};
    }
    if (!marked.name.empty() && (lowerAscii(marked.name) == lowerAscii(name) ||
                                 (lowerAscii(name) == "utf-16" && marked.bom == 2)))
        encoding = {marked.name, true, marked.name == "UTF-8", marked.bom};
    return encoding;
}

} // namespace fettle::data
