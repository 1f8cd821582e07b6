#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fettle::eval {

struct PrecisionRecall
{
    double precision = 0, recall = 0;
    /// 2 P R / (P + R); 0 when both are 0.
    double f1() const;
};

/// Words of google-research's rouge_scorer: lower case, [a-z0-9]+; all other characters separate,
/// so texts in other scripts have none. With `stem`, words of more than three characters are
/// stemmed.
std::vector<std::string> rougeTokens(std::string_view text, bool stem = false);
/// Words of any script: [\p{L}\p{M}\p{N}]+ of the lower-case text.
std::vector<std::string> unicodeTokens(std::string_view text);

/// Overlap of n-grams (multisets).
PrecisionRecall rougeN(const std::vector<std::string>& reference,
                       const std::vector<std::string>& hypothesis, std::size_t n);
/// Longest common subsequence of the whole texts.
PrecisionRecall rougeL(const std::vector<std::string>& reference,
                       const std::vector<std::string>& hypothesis);
/// Union of the subsequences of sentences (lines).
PrecisionRecall rougeLsum(std::string_view reference, std::string_view hypothesis,
                          bool stem = false);

/// Porter's stemmer with NLTK's extensions, of a lower-case ASCII word. Source: Porter 1980, "An
/// algorithm for suffix stripping".
std::string porterStem(const std::string& word);

} // namespace fettle::eval
