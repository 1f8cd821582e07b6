#include "text/jinja/provenance.h"

#include "text/jinja/budget.h"

#include <algorithm>

namespace fettle::text::jinja {

Marked::Marked(std::string text, std::uint8_t flags)
    : m_text(std::move(text))
{
    if (!m_text.empty())
        m_runs.push_back({m_text.size(), flags});
}

void Marked::append(std::string_view text, std::uint8_t flags)
{
    if (text.empty())
        return;
    m_text += text;
    if (!m_runs.empty() && m_runs.back().flags == flags)
        m_runs.back().end = m_text.size();
    else
        m_runs.push_back({m_text.size(), flags});
    if (m_runs.size() > kMaxRuns)
        throw TemplateError("a text changes between template and messages too often");
}

void Marked::append(const Marked& other, std::size_t begin, std::size_t end, std::uint8_t addFlags)
{
    std::size_t at = begin;
    auto run = std::upper_bound(other.m_runs.begin(), other.m_runs.end(), begin,
                                [](std::size_t value, const Run& r) { return value < r.end; });
    for (; at < end && run != other.m_runs.end(); ++run) {
        const std::size_t stop = std::min(end, run->end);
        const auto flags = static_cast<std::uint8_t>(run->flags | addFlags);
        append(std::string_view(other.m_text).substr(at, stop - at), flags);
        at = stop;
    }
}

Marked Marked::part(std::size_t begin, std::size_t end) const
{
    Marked out;
    out.append(*this, begin, end);
    return out;
}

std::uint8_t Marked::flagsAt(std::size_t at) const
{
    const auto run =
        std::upper_bound(m_runs.begin(), m_runs.end(), at,
                         [](std::size_t value, const Run& r) { return value < r.end; });
    return run == m_runs.end() ? std::uint8_t{kUser} : run->flags;
}

std::uint8_t Marked::commonFlags() const
{
    std::uint8_t flags = kTrusted;
    if (!m_runs.empty())
        flags = m_runs[0].flags;
    for (const Run& run : m_runs)
        flags &= run.flags;
    return flags;
}

} // namespace fettle::text::jinja
