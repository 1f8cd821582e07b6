#include "generate/score.h"

#include "model/decoder.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <numeric>

namespace fettle::generate {

namespace {

using Tokens = std::vector<std::int32_t>;

/// Continuations that are read together.
struct Pack
{
    model::PackedTokens tokens;
    std::vector<std::int64_t> wanted, labels; ///< rows that foretell a label, and these
    std::vector<std::size_t> owners;          ///< continuation of each label

    /// A document whose tokens from `known` on are labels of continuation `owner`.
    void add(const Tokens& document, std::size_t known, std::size_t owner)
    {
        const auto from = tokens.size();
        tokens.add(document, static_cast<std::int64_t>(known));
        for (auto t = known; t < document.size(); ++t) {
            wanted.push_back(from + static_cast<std::int64_t>(t) - 1);
            labels.push_back(document[t]);
            owners.push_back(owner);
        }
    }
    void addScores(model::LanguageModel& model, const at::Tensor& states,
                   std::vector<ContinuationScore>& scores) const
    {
        tensor::HeadLossInfo info;
        model.loss(states, labels, 1, info);
        for (std::size_t i = 0; i < owners.size(); ++i)
            scores[owners[i]].logProbabilities.push_back(-info.nll[i]);
    }
};

/// The first token of each continuation, from the last state of the prompt.
void scoreFirst(model::LanguageModel& model, const at::Tensor& last,
                const std::vector<Tokens>& continuations, std::vector<ContinuationScore>& scores)
{
    const auto all = at::log_softmax(model.logits(last).to(at::kCPU, at::kDouble), -1);
    for (std::size_t i = 0; i < continuations.size(); ++i) {
        if (!continuations[i].empty())
            scores[i].logProbabilities = {all[0][continuations[i][0]].item<double>()};
    }
}

} // namespace

double ContinuationScore::sum() const
{
    return std::accumulate(logProbabilities.begin(), logProbabilities.end(), 0.0);
}

double ContinuationScore::mean() const
{
    return logProbabilities.empty() ? 0 : sum() / static_cast<double>(logProbabilities.size());
}

std::vector<ContinuationScore> scoreContinuations(model::LanguageModel& model,
                                                  std::span<const std::int32_t> prompt,
                                                  const std::vector<Tokens>& continuations,
                                                  std::int64_t tokensAtOnce,
                                                  const std::function<bool()>& stop)
{
    const at::NoGradGuard noGrad;
    std::vector<ContinuationScore> scores(continuations.size());
    auto* decoder = dynamic_cast<model::Decoder*>(&model);
    const bool shared = decoder && decoder->readsOn();
    model::KvCache cache;
    if (shared) {
        model::PackedTokens first;
        first.add(prompt);
        cache = model.makeCache(1, first.size());
        const std::vector<std::int64_t> slots = {0};
        const auto states = model.prefill(first, cache, slots);
        scoreFirst(model, states.narrow(0, first.size() - 1, 1), continuations, scores);
    }
    for (std::size_t next = 0; next < continuations.size() && !(stop && stop());) {
        Pack pack;
        for (; next < continuations.size() && (pack.labels.empty() || pack.tokens.size() < tokensAtOnce); ++next) {
            const auto& own = continuations[next];
            if (!shared) {
                Tokens document(prompt.begin(), prompt.end());
                document.insert(document.end(), own.begin(), own.end());
                pack.add(document, prompt.size(), next);
            } else if (own.size() > 1) { // the first token is scored already
                pack.add(own, 1, next);
            }
        }
        if (pack.labels.empty())
            break;
        model::PassContext pass;
        pass.wanted = pack.wanted;
        pack.addScores(model,
                       shared ? decoder->readOn(pack.tokens, cache, pack.wanted)
                              : model.hidden(pack.tokens, pass),
                       scores);
    }
    return scores;
}

} // namespace fettle::generate
