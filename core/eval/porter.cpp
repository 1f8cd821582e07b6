#include "eval/rouge.h"

#include <array>
#include <map>
#include <span>
#include <string_view>

namespace fettle::eval {

namespace {

bool isConsonant(std::string_view word, std::size_t i)
{
    switch (word[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return false;
    case 'y':
        return i == 0 || !isConsonant(word, i - 1);
    default:
        return true;
    }
}

bool hasVowel(std::string_view stem)
{
    for (std::size_t i = 0; i < stem.size(); ++i) {
        if (!isConsonant(stem, i))
            return true;
    }
    return false;
}

/// Porter's m: how often a vowel is followed by a consonant.
int measure(std::string_view stem)
{
    int changes = 0;
    for (std::size_t i = 1; i < stem.size(); ++i)
        changes += !isConsonant(stem, i - 1) && isConsonant(stem, i);
    return changes;
}

/// Porter's *d.
bool endsDouble(std::string_view word)
{
    return word.size() >= 2 && word[word.size() - 1] == word[word.size() - 2] &&
           isConsonant(word, word.size() - 1);
}

/// Porter's *o: consonant, vowel, consonant that is not w, x or y; also vowel and consonant alone.
bool endsCvc(std::string_view word)
{
    const std::size_t n = word.size();
    if (n == 2)
        return !isConsonant(word, 0) && isConsonant(word, 1);
    if (n < 3)
        return false;
    const char last = word[n - 1];
    return isConsonant(word, n - 3) && !isConsonant(word, n - 2) && isConsonant(word, n - 1) &&
           last != 'w' && last != 'x' && last != 'y';
}

struct Rule
{
    std::string_view suffix, replacement;
};

std::string_view without(std::string_view word, std::string_view suffix)
{
    return word.substr(0, word.size() - suffix.size());
}

/// The first rule whose suffix fits decides; it acts when `condition(stem, rule)` holds.
template<class Condition>
std::string applyFirst(const std::string& word, std::span<const Rule> rules,
                       const Condition& condition)
{
    for (const auto& rule : rules) {
        if (!word.ends_with(rule.suffix))
            continue;
        const auto stem = without(word, rule.suffix);
        return condition(stem, rule) ? std::string(stem) + std::string(rule.replacement) : word;
    }
    return word;
}

std::string step1a(const std::string& word)
{
    if (word.size() == 4 && word.ends_with("ies"))
        return word.substr(0, 1) + "ie";
    static constexpr std::array<Rule, 4> rules = {
        {{"sses", "ss"}, {"ies", "i"}, {"ss", "ss"}, {"s", ""}}};
    return applyFirst(word, rules, [](auto, const auto&) { return true; });
}

std::string step1b(const std::string& word)
{
    if (word.ends_with("ied"))
        return std::string(without(word, "ied")) + (word.size() == 4 ? "ie" : "i");
    if (word.ends_with("eed"))
        return measure(without(word, "eed")) > 0 ? word.substr(0, word.size() - 1) : word;
    std::string stem;
    for (const std::string_view suffix : {"ed", "ing"}) {
        if (stem.empty() && word.ends_with(suffix) && hasVowel(without(word, suffix)))
            stem = without(word, suffix);
    }
    if (stem.empty())
        return word;
    for (const std::string_view suffix : {"at", "bl", "iz"}) {
        if (stem.ends_with(suffix))
            return stem + "e";
    }
    if (endsDouble(stem)) {
        const char last = stem.back();
        return last == 'l' || last == 's' || last == 'z' ? stem : stem.substr(0, stem.size() - 1);
    }
    return measure(stem) == 1 && endsCvc(stem) ? stem + "e" : stem;
}

std::string step1c(const std::string& word)
{
    if (!word.ends_with('y'))
        return word;
    const auto stem = without(word, "y");
    return stem.size() > 1 && isConsonant(stem, stem.size() - 1) ? std::string(stem) + "i" : word;
}

std::string step2(const std::string& word)
{
    if (word.ends_with("alli") && measure(without(word, "alli")) > 0)
        return step2(std::string(without(word, "alli")) + "al");
    static constexpr std::array<Rule, 22> rules = {
        {{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"},   {"anci", "ance"},
         {"izer", "ize"},    {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"},
         {"eli", "e"},       {"ousli", "ous"},   {"ization", "ize"}, {"ation", "ate"},
         {"ator", "ate"},    {"alism", "al"},    {"iveness", "ive"}, {"fulness", "ful"},
         {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"},   {"biliti", "ble"},
         {"fulli", "ful"},   {"logi", "log"}}};
    return applyFirst(word, rules, [&](std::string_view stem, const Rule& rule) {
        // NLTK measures "logi" on the word without "ogi", so that "geology" keeps its "geolog".
        return measure(rule.suffix == "logi" ? without(word, "ogi") : stem) > 0;
    });
}

std::string step3(const std::string& word)
{
    static constexpr std::array<Rule, 7> rules = {{{"icate", "ic"},
                                                   {"ative", ""},
                                                   {"alize", "al"},
                                                   {"iciti", "ic"},
                                                   {"ical", "ic"},
                                                   {"ful", ""},
                                                   {"ness", ""}}};
    return applyFirst(word, rules,
                      [](std::string_view stem, const Rule&) { return measure(stem) > 0; });
}

std::string step4(const std::string& word)
{
    static constexpr std::array<Rule, 19> rules = {{{"al", ""},
                                                    {"ance", ""},
                                                    {"ence", ""},
                                                    {"er", ""},
                                                    {"ic", ""},
                                                    {"able", ""},
                                                    {"ible", ""},
                                                    {"ant", ""},
                                                    {"ement", ""},
                                                    {"ment", ""},
                                                    {"ent", ""},
                                                    {"ion", ""},
                                                    {"ou", ""},
                                                    {"ism", ""},
                                                    {"ate", ""},
                                                    {"iti", ""},
                                                    {"ous", ""},
                                                    {"ive", ""},
                                                    {"ize", ""}}};
    return applyFirst(word, rules, [](std::string_view stem, const Rule& rule) {
        const bool fits = rule.suffix != "ion" || stem.ends_with('s') || stem.ends_with('t');
        return fits && measure(stem) > 1;
    });
}

std::string step5(std::string word)
{
    if (word.ends_with('e')) {
        const auto stem = without(word, "e");
        if (measure(stem) > 1 || (measure(stem) == 1 && !endsCvc(stem)))
            word = stem;
    }
    if (word.ends_with("ll") && measure(without(word, "l")) > 1)
        word.pop_back();
    return word;
}

} // namespace

std::string porterStem(const std::string& word)
{
    static const std::map<std::string, std::string, std::less<>> irregular = {
        {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},
        {"lying", "lie"},      {"tying", "tie"},       {"news", "news"},
        {"inning", "inning"},  {"innings", "inning"},  {"outing", "outing"},
        {"outings", "outing"}, {"canning", "canning"}, {"cannings", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},
        {"succeed", "succeed"}};
    if (const auto found = irregular.find(word); found != irregular.end())
        return found->second;
    if (word.size() <= 2)
        return word;
    return step5(step4(step3(step2(step1c(step1b(step1a(word)))))));
}

} // namespace fettle::eval
