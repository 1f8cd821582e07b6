#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace fettle::data {

struct Encoding
{
    std::string name; ///< as ICU knows it: "UTF-8", "UTF-16LE", "windows-1252"
    bool sure = true; ///< false: guessed from the bytes, a person must agree
    bool badBytes =
        false; ///< UTF-8 with a few ill-formed places, which will be replaced and counted
    std::uint64_t bom = 0; ///< bytes of a byte order mark at the start
};

/// Byte order mark, else strict UTF-8 over the whole file, else a guess that is marked unsure.
/// Errors: Io; InvalidInput when the bytes are no text.
Result<Encoding> detectEncoding(const std::filesystem::path& file);
/// The encoding of this name as a person states it. Errors: InvalidInput when it is not known.
Result<Encoding> statedEncoding(const std::filesystem::path& file, const std::string& name);

/// A file as a stream of UTF-8 bytes, read through a buffer of about a megabyte whatever its size.
/// UTF-8 files are handed on as they are; other encodings are converted.
class TextSource
{
public:
    static constexpr int kEnd = -1;

    static Result<std::unique_ptr<TextSource>> open(const std::filesystem::path& file,
                                                    const Encoding& encoding);
    ~TextSource();
    TextSource(const TextSource&) = delete;
    TextSource& operator=(const TextSource&) = delete;

    /// The first megabyte (less in a small file). Only before the first get().
    std::string_view head();
    /// Next byte, or kEnd.
    int get()
    {
        return m_at < m_text.size() || fill() ? static_cast<unsigned char>(m_text[m_at++]) : kEnd;
    }
    int peek()
    {
        return m_at < m_text.size() || fill() ? static_cast<unsigned char>(m_text[m_at]) : kEnd;
    }
    /// Reads up to the next LF, CR LF or CR, which is left out. False at the end. A line longer
    /// than `limit` is cut there and `tooLong` set; the rest of it is skipped.
    bool line(std::string& out, std::size_t limit, bool& tooLong);

    /// Share of the file's bytes that has been read, 0 .. 1.
    double fraction() const;
    /// True when reading failed; what was given so far is not the whole file.
    bool failed() const { return m_failed; }
    const Encoding& encoding() const { return m_encoding; }
    const std::string& name() const { return m_name; } ///< file name, for places in errors

private:
    struct Converter;
    TextSource() = default;
    bool fill();
    void append(std::string_view bytes, bool last);

    std::string m_name;
    Encoding m_encoding;
    std::unique_ptr<Converter> m_converter; ///< none for UTF-8
    std::string m_text;                     ///< UTF-8, from m_at on still to be given
    std::size_t m_at = 0;
    std::string m_raw;
    std::uint64_t m_size = 0, m_read = 0;
    int m_fd = -1;
    bool m_ended = false, m_failed = false;
};

} // namespace fettle::data
