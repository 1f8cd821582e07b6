#include "text/text_parts.h"

#include "base/text.h"

namespace fettle::text {

JoinedParts::JoinedParts(std::span<const TextPart> parts)
    : trusted(TrustedRanges::none())
{
    std::vector<Range> ranges;
    for (const TextPart& part : parts) {
        const std::size_t begin = text.size();
        if (isValidUtf8(part.text))
            text += part.text;
        else
            text += toValidUtf8(part.text);
        if (!part.trusted || begin == text.size())
            continue;
        if (!ranges.empty() && ranges.back().end == begin)
            ranges.back().end = text.size();
        else
            ranges.push_back({begin, text.size()});
    }
    trusted = TrustedRanges(std::move(ranges));
}

std::vector<Range> inCharacters(std::string_view text, std::span<const Range> bytes)
{
    std::vector<std::size_t> begun(text.size() + 1); // characters that begin before each byte
    for (std::size_t i = 0; i < text.size(); ++i)
        begun[i + 1] = begun[i] + ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80);
    std::vector<Range> out;
    out.reserve(bytes.size());
    for (const Range& range : bytes)
        out.push_back({begun[range.begin], begun[range.end]});
    return out;
}

} // namespace fettle::text
