#include "data/normalise.h"

#include "base/text.h"

#include <algorithm>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace fettle::data {

namespace {

bool isAscii(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
}

} // namespace

std::string toNfc(std::string_view text)
{
    if (isAscii(text))
        return std::string(text);
    UErrorCode status = U_ZERO_ERROR;
    const auto* nfc = icu::Normalizer2::getNFCInstance(status);
    const auto size = static_cast<std::int32_t>(text.size());
    std::string out;
    icu::StringByteSink<std::string> sink(&out);
    if (U_SUCCESS(status))
        nfc->normalizeUTF8(0, icu::StringPiece(text.data(), size), sink, nullptr, status);
    return U_SUCCESS(status) ? toValidUtf8(out) : toValidUtf8(text);
}

std::string comparable(std::string_view text)
{
    const std::string nfc = toNfc(text);
    std::string out;
    out.reserve(nfc.size());
    bool blank = false;
    for (std::size_t at = 0; at < nfc.size();) {
        const char32_t c = nextCodePoint(nfc, at);
        if (u_isUWhiteSpace(static_cast<UChar32>(c))) {
            blank = !out.empty();
            continue;
        }
        if (blank)
            out += ' ';
        blank = false;
        appendUtf8(out, c);
    }
    return out;
}

std::string foldedName(std::string_view name)
{
    icu::UnicodeString text = icu::UnicodeString::fromUTF8(comparable(name));
    text.foldCase();
    std::string out;
    text.toUTF8String(out);
    std::replace(out.begin(), out.end(), ' ', '_');
    std::replace(out.begin(), out.end(), '-', '_');
    return toNfc(out);
}

} // namespace fettle::data
