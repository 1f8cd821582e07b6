#include "data/text_source.h"

#include "base/text.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unicode/ucnv.h>
#include <unistd.h>

namespace fettle::data {

namespace {

constexpr std::size_t kChunk = 1u << 20;

} // namespace

struct TextSource::Converter
{
    ~Converter()
    {
        ucnv_close(from);
        ucnv_close(to);
    }

    UConverter* from = nullptr;
    UConverter* to = nullptr;
    std::array<UChar, 4096> pivot{};
    UChar* pivotSource = pivot.data();
    UChar* pivotTarget = pivot.data();
    bool reset = true;
};

Result<std::unique_ptr<TextSource>> TextSource::open(const std::filesystem::path& file,
                                                     const Encoding& encoding)
{
    std::unique_ptr<TextSource> source(new TextSource);
    source->m_name = file.filename().string();
    source->m_encoding = encoding;
    source->m_fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status
    {
    };
    if (source->m_fd < 0 || ::fstat(source->m_fd, &status) != 0)
        return Error{ErrorCode::Io,
                     fmt::format("the file cannot be opened ({})", std::strerror(errno)),
                     source->m_name, "Check its permissions"};
    source->m_size = static_cast<std::uint64_t>(status.st_size);
    source->m_read = encoding.bom;
    ::lseek(source->m_fd, static_cast<off_t>(encoding.bom), SEEK_SET);
    ::posix_fadvise(source->m_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (encoding.name != "UTF-8") {
        UErrorCode status1 = U_ZERO_ERROR, status2 = U_ZERO_ERROR;
        source->m_converter = std::make_unique<Converter>();
        source->m_converter->from = ucnv_open(encoding.name.c_str(), &status1);
        source->m_converter->to = ucnv_open("UTF-8", &status2);
        if (U_FAILURE(status1) || U_FAILURE(status2))
            return Error{ErrorCode::InvalidInput, "this encoding is not known", source->m_name,
                         "Use a name like UTF-8, windows-1252 or UTF-16LE"};
    }
    return source;
}

TextSource::~TextSource()
{
    if (m_fd >= 0)
        ::close(m_fd);
}

std::string_view TextSource::head()
{
    while (m_text.size() < kChunk && fill()) {}
    return std::string_view(m_text).substr(0, std::min(m_text.size(), kChunk));
}

bool TextSource::fill()
{
    if (m_ended)
        return false;
    m_text.erase(0, m_at);
    m_at = 0;
    const std::size_t before = m_text.size();
    m_raw.resize(kChunk);
    while (m_text.size() == before && !m_ended) {
        ssize_t count = 0;
        do {
            count = ::read(m_fd, m_raw.data(), m_raw.size());
        } while (count < 0 && errno == EINTR);
        m_failed = count < 0;
        m_ended = count <= 0;
        m_read += m_ended ? 0 : static_cast<std::uint64_t>(count);
        append(std::string_view(m_raw.data(), m_ended ? 0 : static_cast<std::size_t>(count)),
               m_ended);
    }
    return m_text.size() > before;
}

void TextSource::append(std::string_view bytes, bool last)
{
    if (!m_converter) {
        m_text += bytes;
        return;
    }
    std::array<char, 16384> out{};
    const char* source = bytes.data();
    const char* sourceEnd = bytes.data() + bytes.size();
    UErrorCode status = U_BUFFER_OVERFLOW_ERROR;
    while (status == U_BUFFER_OVERFLOW_ERROR) {
        status = U_ZERO_ERROR;
        char* target = out.data();
        auto& c = *m_converter;
        ucnv_convertEx(c.to, c.from, &target, out.data() + out.size(), &source, sourceEnd,
                       c.pivot.data(), &c.pivotSource, &c.pivotTarget,
                       c.pivot.data() + c.pivot.size(), c.reset, last, &status);
        c.reset = false;
        m_text.append(out.data(), static_cast<std::size_t>(target - out.data()));
    }
    m_failed = m_failed || U_FAILURE(status);
    m_ended = m_ended || U_FAILURE(status);
}

bool TextSource::line(std::string& out, std::size_t limit, bool& tooLong)
{
    out.clear();
    tooLong = false;
    if (peek() == kEnd)
        return false;
    while (peek() != kEnd) {
        const std::string_view rest = std::string_view(m_text).substr(m_at);
        const std::size_t end = rest.find_first_of("\r\n");
        const std::string_view part = rest.substr(0, end);
        if (out.size() + part.size() > limit)
            tooLong = true;
        else
            out += part;
        m_at += part.size();
        if (end == std::string_view::npos)
            continue;
        if (get() == '\r' && peek() == '\n')
            get();
        return true;
    }
    return true;
}

double TextSource::fraction() const
{
    return m_size == 0 ? 1.0 : static_cast<double>(m_read) / static_cast<double>(m_size);
}

} // namespace fettle::data
