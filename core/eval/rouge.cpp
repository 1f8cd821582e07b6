#include "eval/rouge.h"

#include "base/text.h"
#include "eval/answer_text.h"

#include <algorithm>
#include <map>
#include <unicode/uchar.h>

namespace fettle::eval {

namespace {

using Words = std::vector<std::string>;

PrecisionRecall fromHits(std::size_t hits, std::size_t hypothesis, std::size_t reference)
{
    const auto count = static_cast<double>(hits);
    return {count / static_cast<double>(std::max<std::size_t>(hypothesis, 1)),
            count / static_cast<double>(std::max<std::size_t>(reference, 1))};
}

std::map<Words, std::size_t> ngrams(const Words& words, std::size_t n)
{
    std::map<Words, std::size_t> counts;
    for (std::size_t i = 0; i + n <= words.size(); ++i)
        ++counts[Words(words.begin() + static_cast<std::ptrdiff_t>(i),
                       words.begin() + static_cast<std::ptrdiff_t>(i + n))];
    return counts;
}

std::vector<Words> sentences(std::string_view text, bool stem)
{
    std::vector<Words> list;
    for (const auto& line : splitOn(text, '\n')) {
        if (!line.empty())
            list.push_back(rougeTokens(line, stem));
    }
    return list;
}

/// Marks the reference words of one longest common subsequence; which one is part of the definition
/// (at a tie the back-track goes up in the reference).
void markSubsequence(const Words& reference, const Words& hypothesis, std::vector<bool>& marked)
{
    const std::size_t width = hypothesis.size() + 1;
    std::vector<std::size_t> table((reference.size() + 1) * width);
    for (std::size_t i = 1; i <= reference.size(); ++i) {
        for (std::size_t j = 1; j < width; ++j) {
            table[i * width + j] =
                reference[i - 1] == hypothesis[j - 1]
                    ? table[(i - 1) * width + j - 1] + 1
                    : std::max(table[(i - 1) * width + j], table[i * width + j - 1]);
        }
    }
    for (std::size_t i = reference.size(), j = hypothesis.size(); i > 0 && j > 0;) {
        if (reference[i - 1] == hypothesis[j - 1]) {
            marked[--i] = true;
            --j;
        } else if (table[i * width + j - 1] > table[(i - 1) * width + j]) {
            --j;
        } else {
            --i;
        }
    }
}

} // namespace

double PrecisionRecall::f1() const
{
    return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

Words rougeTokens(std::string_view text, bool stem)
{
    Words words;
    bool inWord = false;
    for (const char c : lowerUnicode(text)) {
        const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (kept && !inWord)
            words.emplace_back();
        if (kept)
            words.back() += c;
        inWord = kept;
    }
    if (stem) {
        for (auto& word : words) {
            if (word.size() > 3)
                word = porterStem(word);
        }
    }
    return words;
}

Words unicodeTokens(std::string_view text)
{
    Words words;
    bool inWord = false;
    const std::string lower = lowerUnicode(text);
    for (std::size_t at = 0; at < lower.size();) {
        const char32_t c = nextCodePoint(lower, at);
        const bool kept = (U_GET_GC_MASK(static_cast<UChar32>(c)) &
                           (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0;
        if (kept && !inWord)
            words.emplace_back();
        if (kept)
            appendUtf8(words.back(), c);
        inWord = kept;
    }
    return words;
}

PrecisionRecall rougeN(const Words& reference, const Words& hypothesis, std::size_t n)
{
    const auto wanted = ngrams(reference, n);
    std::size_t hits = 0, total = 0;
    for (const auto& [gram, count] : ngrams(hypothesis, n)) {
        total += count;
        if (const auto found = wanted.find(gram); found != wanted.end())
            hits += std::min(count, found->second);
    }
    return fromHits(hits, total, reference.size() >= n ? reference.size() - n + 1 : 0);
}

PrecisionRecall rougeL(const Words& reference, const Words& hypothesis)
{
    std::vector<std::size_t> row(hypothesis.size() + 1); // lengths for the reference words so far
    for (const auto& word : reference) {
        std::size_t diagonal = 0;
        for (std::size_t j = 1; j < row.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = word == hypothesis[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
            diagonal = above;
        }
    }
    return fromHits(row.back(), hypothesis.size(), reference.size());
}

PrecisionRecall rougeLsum(std::string_view reference, std::string_view hypothesis, bool stem)
{
    const auto wanted = sentences(reference, stem), given = sentences(hypothesis, stem);
    std::map<std::string, std::size_t> wantedLeft, givenLeft;
    std::size_t wantedTotal = 0, givenTotal = 0, hits = 0;
    for (const auto& sentence : wanted)
        for (const auto& word : sentence)
            ++wantedLeft[word], ++wantedTotal;
    for (const auto& sentence : given)
        for (const auto& word : sentence)
            ++givenLeft[word], ++givenTotal;
    for (const auto& sentence : wanted) {
        std::vector<bool> marked(sentence.size());
        for (const auto& other : given)
            markSubsequence(sentence, other, marked);
        for (std::size_t i = 0; i < sentence.size(); ++i) {
            auto& left = givenLeft[sentence[i]];
            if (!marked[i] || left == 0 || wantedLeft[sentence[i]] == 0)
                continue;
            ++hits;
            --left;
            --wantedLeft[sentence[i]];
        }
    }
    return fromHits(hits, givenTotal, wantedTotal);
}

} // namespace fettle::eval
