#include "text/normal_form.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>

namespace fettle::text {

namespace {

using Change = AlignedText::Change;

struct Character
{
    Change change;
    int combining = 0; // canonical combining class
};

/// Marks behind a starter in the order of their classes.
void sortMarks(std::vector<Character>& characters)
{
    for (auto begin = characters.begin(); begin != characters.end();) {
        if (begin->combining == 0) {
            ++begin;
            continue;
        }
        const auto end = std::find_if(begin, characters.end(),
                                      [](const Character& c) { return c.combining == 0; });
        std::stable_sort(begin, end, [](const Character& a, const Character& b) {
            return a.combining < b.combining;
        });
        begin = end;
    }
}

std::vector<Character> decomposed(const icu::Normalizer2& form, std::string_view text)
{
    std::vector<Character> out;
    const auto add = [&](char32_t c, int change) {
        out.push_back({{c, change}, form.getCombiningClass(static_cast<UChar32>(c))});
    };
    icu::UnicodeString parts;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = decodeValid(text.data(), at);
        if (!form.getDecomposition(static_cast<UChar32>(c), parts)) {
            add(c, 0);
            continue;
        }
        for (int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1))
            add(static_cast<char32_t>(parts.char32At(i)), i > 0 ? 1 : 0);
    }
    sortMarks(out);
    return out;
}

/// Joins marks and starters to the last starter where nothing blocks them.
std::vector<Change> composed(const icu::Normalizer2& form, const std::vector<Character>& characters)
{
    std::vector<Change> out;
    std::optional<std::size_t> starter; // its place in out
    int last = -1;                      // class of the last mark that was not joined; -1: none
    for (const Character& character : characters) {
        const bool blocked = last >= 0 && last >= character.combining;
        const auto joined = starter && !blocked
                                ? form.composePair(static_cast<UChar32>(out[*starter].c),
                                                   static_cast<UChar32>(character.change.c))
                                : UChar32{-1};
        if (joined >= 0) {
            out[*starter] = {static_cast<char32_t>(joined),
                             out[*starter].change + character.change.change - 1};
            continue;
        }
        if (character.combining == 0) {
            starter = out.size();
            last = -1;
        } else if (starter) {
            last = character.combining;
        }
        out.push_back(character.change);
    }
    return out;
}

const icu::Normalizer2* formOf(std::string_view name)
{
    UErrorCode code = U_ZERO_ERROR;
    const auto* form = name == "NFC"    ? icu::Normalizer2::getNFCInstance(code)
                       : name == "NFD"  ? icu::Normalizer2::getNFDInstance(code)
                       : name == "NFKC" ? icu::Normalizer2::getNFKCInstance(code)
                       : name == "NFKD" ? icu::Normalizer2::getNFKDInstance(code)
                                        : nullptr;
    if (!form || U_FAILURE(code))
        throw std::logic_error("ICU has no tables for a normal form");
    return form;
}

const icu::UnicodeSet& charactersOfTheReference()
{
    static const icu::UnicodeSet set = [] {
        UErrorCode code = U_ZERO_ERROR;
        icu::UnicodeSet out(icu::UnicodeString("[:age=9.0:]"), code);
        if (U_FAILURE(code))
            throw std::logic_error("ICU has no ages of characters");
        out.freeze();
        return out;
    }();
    return set;
}

} // namespace

struct NormalForm::Tables
{
    explicit Tables(std::string_view name)
        : whole(formOf(name))
        , known(*whole, charactersOfTheReference())
    {
    }
    const icu::Normalizer2* whole; // of all Unicode: tells quickly when nothing is to do
    icu::FilteredNormalizer2 known;
};

NormalForm::NormalForm(std::string_view name)
    : m_tables(std::make_unique<Tables>(name))
    , m_composes(name.ends_with('C'))
{
}
NormalForm::~NormalForm() = default;

bool NormalForm::isNormal(const std::string& text) const
{
    UErrorCode code = U_ZERO_ERROR;
    return m_tables->whole->isNormalizedUTF8(text, code) && U_SUCCESS(code);
}

void NormalForm::apply(std::string& text) const
{
    if (isNormal(text))
        return;
    UErrorCode code = U_ZERO_ERROR;
    std::string out;
    icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
    m_tables->known.normalizeUTF8(0, text, sink, nullptr, code);
    text = std::move(out);
}

void NormalForm::apply(AlignedText& text) const
{
    if (!isNormal(text.text()))
        text.transform(changes(text.text()));
}

std::vector<Change> NormalForm::changes(std::string_view text) const
{
    const auto characters = decomposed(m_tables->known, text);
    if (m_composes)
        return composed(m_tables->known, characters);
    std::vector<Change> out;
    out.reserve(characters.size());
    for (const Character& character : characters)
        out.push_back(character.change);
    return out;
}

} // namespace fettle::text
