#include "text/aligned_text.h"

namespace fettle::text {

AlignedText::AlignedText(std::string_view part, std::size_t offset)
    : m_text(part)
{
    m_origins.reserve(part.size());
    for (std::size_t at = 0; at < part.size();) {
        const std::size_t begin = at;
        decodeValid(part.data(), at);
        m_origins.resize(at, {offset + begin, offset + at});
    }
}

void AlignedText::transform(const std::vector<Change>& changes)
{
    std::string out;
    std::vector<Range> origins;
    out.reserve(m_text.size());
    origins.reserve(m_text.size());
    std::size_t at = 0; // in the old text: behind what has been used
    for (const Change& change : changes) {
        Range origin;
        if (change.change > 0) {
            if (at > 0)
                origin = m_origins[at - 1];
        } else {
            if (at < m_text.size())
                origin = m_origins[at];
            for (int used = 0; used <= -change.change && at < m_text.size(); ++used)
                decodeValid(m_text.data(), at);
        }
        appendUtf8(out, change.c);
        origins.resize(out.size(), origin);
    }
    m_text = std::move(out);
    m_origins = std::move(origins);
}

void AlignedText::replace(const std::vector<Range>& ranges, std::string_view content)
{
    std::string out;
    std::vector<Range> origins;
    const auto keep = [&](std::size_t begin, std::size_t end) {
        out.append(m_text, begin, end - begin);
        origins.insert(origins.end(), m_origins.begin() + static_cast<std::ptrdiff_t>(begin),
                       m_origins.begin() + static_cast<std::ptrdiff_t>(end));
    };
    std::size_t last = 0;
    for (const Range& range : ranges) {
        keep(last, range.begin);
        out += content;
        origins.resize(out.size(), range.end > 0 ? m_origins[range.end - 1] : Range());
        last = range.end;
    }
    keep(last, m_text.size());
    m_text = std::move(out);
    m_origins = std::move(origins);
}

void AlignedText::prepend(std::string_view front)
{
    if (m_text.empty())
        return;
    m_text.insert(0, front);
    m_origins.insert(m_origins.begin(), front.size(), Range(m_origins[0]));
}

void AlignedText::cut(std::size_t begin, std::size_t end)
{
    m_text = m_text.substr(begin, end - begin);
    m_origins.erase(m_origins.begin() + static_cast<std::ptrdiff_t>(end), m_origins.end());
    m_origins.erase(m_origins.begin(), m_origins.begin() + static_cast<std::ptrdiff_t>(begin));
}

} // namespace fettle::text
