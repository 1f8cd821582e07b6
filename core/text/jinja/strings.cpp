#include "base/text.h"
#include "text/jinja/evaluator.h"
#include "text/unicode.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace fettle::text::jinja {

namespace {

constexpr std::size_t kMaxParts = 100'000;
constexpr std::size_t kMaxStripped = 1000;

void checkParts(std::size_t count)
{
    if (count > kMaxParts)
        throw TemplateError(fmt::format("a text is cut into more than {} parts", kMaxParts));
}

std::string mapped(std::string_view text, bool upper)
{
    icu::UnicodeString wide = icu::UnicodeString::fromUTF8(
        icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
    if (upper)
        wide.toUpper(icu::Locale::getRoot());
    else
        wide.toLower(icu::Locale::getRoot());
    std::string out;
    return wide.toUTF8String(out);
}

void appendMapped(Marked& out, const Marked& text, std::size_t begin, std::size_t end, bool upper)
{
    const Marked part = text.part(begin, end);
    std::size_t at = 0;
    for (const Marked::Run& run : part.runs()) {
        out.append(mapped(std::string_view(part.text()).substr(at, run.end - at), upper),
                   run.origin);
        at = run.end;
    }
}

/// The first letter of a word: title case where it has one, else full upper case.
void appendTitle(Marked& out, const Marked& text, std::size_t begin, std::size_t end)
{
    const std::string upper =
        mapped(std::string_view(text.text()).substr(begin, end - begin), true);
    std::size_t at = begin, first = 0;
    const auto c = static_cast<UChar32>(decodeValid(text.text().data(), at));
    decodeValid(upper.data(), first);
    std::string title;
    if (first == upper.size())
        appendUtf8(title, static_cast<char32_t>(u_totitle(c)));
    else // one letter that becomes several: only the first of them is a capital
        title = upper.substr(0, first) + mapped(std::string_view(upper).substr(first), false);
    out.append(title, text.originAt(begin));
}

std::size_t nextAt(const std::string& text, std::size_t at)
{
    decodeValid(text.data(), at);
    return at;
}

bool startsWord(char32_t before)
{
    return before == '-' || before == '(' || before == '{' || before == '[' || before == '<' ||
           isPythonSpace(before);
}

std::vector<Marked> splitAtSpace(const Marked& marked, std::int64_t most, bool fromRight)
{
    const std::string& text = marked.text();
    std::vector<std::pair<std::size_t, std::size_t>> words;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t next = at;
        if (isPythonSpace(decodeValid(text.data(), next))) {
            at = next;
            continue;
        }
        const std::size_t start = at;
        while (at < text.size()) {
            next = at;
            if (isPythonSpace(decodeValid(text.data(), next)))
                break;
            at = next;
        }
        words.emplace_back(start, at);
        checkParts(words.size());
    }
    std::vector<Marked> out;
    const auto count = static_cast<std::int64_t>(words.size());
    if (most < 0 || count <= most) {
        for (const auto& [begin, end] : words)
            out.push_back(marked.part(begin, end));
        return out;
    }
    // What is left over stays whole: at the end, or at the front when counted from the right.
    const auto at = [&](std::int64_t i) { return words[static_cast<std::size_t>(i)]; };
    if (fromRight) {
        out.push_back(marked.part(0, at(count - most - 1).second));
        for (std::int64_t i = count - most; i < count; ++i)
            out.push_back(marked.part(at(i).first, at(i).second));
    } else {
        for (std::int64_t i = 0; i < most; ++i)
            out.push_back(marked.part(at(i).first, at(i).second));
        out.push_back(marked.part(at(most).first, text.size()));
    }
    return out;
}

} // namespace

std::size_t findFrom(const std::string& text, const std::string& part, std::size_t from)
{
    const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
    return found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data())
                 : std::string::npos;
}

void checkSearch(std::size_t text, std::size_t part)
{
    // Searching from the right takes text times part in the worst case.
    if (part > 64 && text / 64 > kMaxParts * 64 / part)
        throw TemplateError("a long text is looked for in a long text");
}

std::size_t codePoints(std::string_view text)
{
    std::size_t count = 0;
    for (const char c : text)
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

Marked escaped(const Marked& text)
{
    Marked out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text.text()[at];
        const char* entity = c == '&'    ? "&amp;"
                             : c == '<'  ? "&lt;"
                             : c == '>'  ? "&gt;"
                             : c == '\'' ? "&#39;"
                             : c == '"'  ? "&#34;"
                                         : nullptr;
        if (entity)
            out.append(entity, text.originAt(at));
        else
            out.append(text, at, at + 1);
    }
    return out;
}

Marked stripped(const Marked& marked, const Marked* characters, bool left, bool right)
{
    const std::string_view text = marked.text();
    if (characters && characters->size() > kMaxStripped)
        throw TemplateError(fmt::format("strip takes at most {} characters", kMaxStripped));
    const auto gone = [&](char32_t c, std::string_view bytes) {
        if (!characters)
            return isPythonSpace(c);
        for (std::size_t at = 0; at < characters->size();) {
            const std::size_t start = at;
            decodeValid(characters->text().data(), at);
            if (std::string_view(characters->text()).substr(start, at - start) == bytes)
                return true;
        }
        return false;
    };
    std::size_t begin = 0, end = text.size();
    while (left && begin < end) {
        std::size_t next = begin;
        const char32_t c = decodeValid(text.data(), next);
        if (!gone(c, text.substr(begin, next - begin)))
            break;
        begin = next;
    }
    while (right && end > begin) {
        std::size_t length = 0;
        const char32_t c = lastCodePoint(text.substr(0, end), length);
        if (!gone(c, text.substr(end - length, length)))
            break;
        end -= length;
    }
    return marked.part(begin, end);
}

Marked replaced(Evaluator& evaluator, const Marked& marked, const Marked& from, const Marked& to,
                std::int64_t count)
{
    const std::string& text = marked.text();
    Marked out;
    const auto put = [&](const Marked& piece, std::size_t begin, std::size_t end) {
        if (out.size() + (end - begin) > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
        out.append(piece, begin, end);
    };
    evaluator.budget().step(static_cast<std::int64_t>(text.size() / 256));
    if (from.empty()) {
        std::size_t at = 0;
        while (count != 0) {
            put(to, 0, to.size());
            --count;
            if (at >= text.size())
                break;
            const std::size_t next = nextAt(text, at);
            put(marked, at, next);
            at = next;
        }
        put(marked, std::min(at, text.size()), text.size());
        return out;
    }
    std::size_t last = 0;
    while (count != 0) {
        const std::size_t at = findFrom(text, from.text(), last);
        if (at == std::string::npos)
            break;
        put(marked, last, at);
        put(to, 0, to.size());
        last = at + from.size();
        --count;
    }
    put(marked, last, text.size());
    return out;
}

Marked cased(const Marked& marked, Casing casing)
{
    Marked out;
    const std::string& text = marked.text();
    if (casing == Casing::Upper || casing == Casing::Lower) {
        appendMapped(out, marked, 0, text.size(), casing == Casing::Upper);
        return out;
    }
    std::size_t wordStart = 0; // the lower-cased rest begins behind its first character
    char32_t before = ' ';
    const auto word = [&](std::size_t begin, std::size_t end) {
        if (begin >= end)
            return;
        const std::size_t first = nextAt(text, begin);
        appendTitle(out, marked, begin, first);
        appendMapped(out, marked, first, end, false);
    };
    if (casing == Casing::Capitalize) {
        word(0, text.size());
        return out;
    }
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t c = decodeValid(text.data(), at);
        if (startsWord(before) && !startsWord(c)) {
            word(wordStart, start);
            wordStart = start;
        }
        before = c;
    }
    word(wordStart, text.size());
    return out;
}

std::vector<Marked> split(const Marked& marked, const Marked* separator, std::int64_t most,
                          bool fromRight)
{
    if (!separator)
        return splitAtSpace(marked, most, fromRight);
    if (separator->empty())
        throw TemplateError("a text cannot be split at an empty text");
    const std::string& text = marked.text();
    std::vector<std::size_t> found;
    if (fromRight) {
        checkSearch(text.size(), separator->size());
        std::size_t end = text.size();
        while (most < 0 || static_cast<std::int64_t>(found.size()) < most) {
            const auto at = end < separator->size()
                                ? std::string::npos
                                : text.rfind(separator->text(), end - separator->size());
            if (at == std::string::npos)
                break;
            found.push_back(at);
            checkParts(found.size());
            end = at;
        }
        std::reverse(found.begin(), found.end());
    } else {
        std::size_t at = 0;
        while (most < 0 || static_cast<std::int64_t>(found.size()) < most) {
            at = findFrom(text, separator->text(), at);
            if (at == std::string::npos)
                break;
            found.push_back(at);
            checkParts(found.size());
            at += separator->size();
        }
    }
    std::vector<Marked> out;
    std::size_t last = 0;
    for (const std::size_t at : found) {
        out.push_back(marked.part(last, at));
        last = at + separator->size();
    }
    out.push_back(marked.part(last, text.size()));
    return out;
}

std::vector<Marked> splitLines(const Marked& marked)
{
    const std::string& text = marked.text();
    std::vector<Marked> out;
    std::size_t last = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t c = decodeValid(text.data(), at);
        const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                          c == 0x2028 || c == 0x2029;
        if (!ends)
            continue;
        if (c == '\r' && at < text.size() && text[at] == '\n')
            ++at;
        out.push_back(marked.part(last, start));
        checkParts(out.size());
        last = at;
    }
    if (last < text.size())
        out.push_back(marked.part(last, text.size()));
    return out;
}

} // namespace fettle::text::jinja
