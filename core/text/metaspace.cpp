#include "text/metaspace.h"

#include <fmt/format.h>

namespace fettle::text {

Result<Metaspace> Metaspace::fromJson(const JsonPart& part)
{
    if (auto known = part.onlyKeys(
            {"type", "replacement", "prepend_scheme", "add_prefix_space", "split", "str_rep"});
        !known)
        return known.error();
    Metaspace out;
    const auto replacement = part.text("replacement", out.replacement),
               scheme = part.text("prepend_scheme", "always");
    const auto prefix = part.flag("add_prefix_space", true), split = part.flag("split", true);
    if (!replacement || replacement->empty() || !scheme || !prefix || !split)
        return part.badKinds();
    out.replacement = *replacement;
    out.split = *split;
    if (*scheme == "never" || !*prefix)
        out.prepend = Prepend::Never;
    else if (*scheme == "first")
        out.prepend = Prepend::First;
    else if (*scheme != "always")
        return part.unknown(fmt::format("the prepend scheme \"{}\"", *scheme));
    return out;
}

/// Spaces written as the mark, and one in front where it is wanted and not there.
Piece MetaspaceSplit::withMarks(const Piece& piece, bool inFront, Pieces& pieces) const
{
    const std::string& mark = m_settings.replacement;
    std::string text;
    std::vector<Range> origins;
    for (std::size_t i = 0; i < piece.text.size(); ++i) {
        if (piece.text[i] == ' ')
            text += mark;
        else
            text += piece.text[i];
        if (piece.origins)
            origins.resize(text.size(), piece.origins[i]);
    }
    if (inFront && text.compare(0, mark.size(), mark) != 0) {
        text.insert(0, mark);
        if (piece.origins)
            origins.insert(origins.begin(), mark.size(),
                           piece.text.empty() ? Range() : piece.origins[0]);
    }
    return pieces.replaced(piece, std::move(text), std::move(origins));
}

void MetaspaceSplit::apply(Pieces& pieces) const
{
    std::vector<Piece> out;
    std::vector<Range> marks;
    const std::string& mark = m_settings.replacement;
    for (const Piece& piece : pieces.list) {
        const bool wanted = m_settings.prepend == Metaspace::Prepend::Always ||
                            (m_settings.prepend == Metaspace::Prepend::First && piece.atStart);
        const Piece whole = withMarks(piece, wanted, pieces);
        if (!m_settings.split) {
            out.push_back(whole);
            continue;
        }
        marks.clear();
        for (auto at = whole.text.find(mark); at != std::string_view::npos;
             at = whole.text.find(mark, at + mark.size()))
            marks.push_back({at, at + mark.size()});
        splitAt(whole, marks, SplitBehavior::MergedWithNext, false, out);
    }
    pieces.list = std::move(out);
}

} // namespace fettle::text
