#include "text/jinja/provenance.h"

#include "text/jinja/budget.h"

#include <algorithm>

namespace fettle::text::jinja {

Marked::Marked(std::string text, Origin origin)
    : m_text(std::move(text))
{
    if (!m_text.empty())
        m_runs.push_back({m_text.size(), origin});
}

void Marked::append(std::string_view text, Origin origin)
{
    if (text.empty())
        return;
    m_text += text;
    if (!m_runs.empty() && m_runs.back().origin == origin)
        m_runs.back().end = m_text.size();
    else
        m_runs.push_back({m_text.size(), origin});
    if (m_runs.size() > kMaxRuns)
        throw TemplateError("a text changes between template and messages too often");
}

void Marked::append(const Marked& other, std::size_t begin, std::size_t end)
{
    std::size_t at = begin;
    auto run = std::upper_bound(other.m_runs.begin(), other.m_runs.end(), begin,
                                [](std::size_t value, const Run& r) { return value < r.end; });
    for (; at < end && run != other.m_runs.end(); ++run) {
        const std::size_t stop = std::min(end, run->end);
        append(std::string_view(other.m_text).substr(at, stop - at), run->origin);
        at = stop;
    }
}

void Marked::appendWritten(const Marked& other, std::uint8_t addFlags, std::int32_t turn)
{
    std::size_t at = 0;
    for (const Run& run : other.m_runs) {
        Origin origin = run.origin;
        origin.flags |= addFlags;
        if (origin.turn < 0)
            origin.turn = turn;
        append(std::string_view(other.m_text).substr(at, run.end - at), origin);
        at = run.end;
    }
}

Marked Marked::part(std::size_t begin, std::size_t end) const
{
    Marked out;
    out.append(*this, begin, end);
    return out;
}

Origin Marked::originAt(std::size_t at) const
{
    const auto run =
        std::upper_bound(m_runs.begin(), m_runs.end(), at,
                         [](std::size_t value, const Run& r) { return value < r.end; });
    return run == m_runs.end() ? Origin() : run->origin;
}

std::uint8_t Marked::commonFlags() const
{
    std::uint8_t flags = kTrusted;
    if (!m_runs.empty())
        flags = m_runs[0].origin.flags;
    for (const Run& run : m_runs)
        flags &= run.origin.flags;
    return flags;
}

} // namespace fettle::text::jinja
