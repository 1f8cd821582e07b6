#include "deploy/proof.h"

#include "model/encoder.h"
#include "model/import/gguf_families.h"
#include "tensor/torch_pch.h"

#include <cmath>
#include <map>

namespace fettle::deploy {

using at::Tensor;

namespace {

/// Half-precision scales of blocks hold no smaller steps than this, root mean square.
constexpr double kSmallest = 4e-6;

/// By name; the head always, since one that is tied here may be written out there.
std::map<std::string, Tensor> weightsOf(model::Model& model)
{
    std::map<std::string, Tensor> weights{
        {model.config.names.head + ".weight", model.headWeight.detach()}};
    for (const auto& [name, value] : model.parameters())
        weights.emplace(name, value->detach());
    return weights;
}

bool isGelu(const model::Model& model) { return model.config.activation.starts_with("gelu"); }

Error differs(const std::string& name)
{
    return {ErrorCode::Internal,
            "the weight " + name + " read back from the disk is not the one in memory, rounded",
            "export", "Do not use this folder; write it again or report this"};
}

Answers statesOf(const model::Encoder& encoder, const Texts& texts)
{
    Answers out;
    out.states = true;
    for (const auto& text : texts) {
        model::PackedTokens tokens;
        tokens.add(text);
        out.logits.push_back(encoder.hidden(tokens));
        out.tokens += tokens.size();
    }
    return out;
}

} // namespace

Answers answersOf(model::Model& model, const Texts& texts)
{
    const at::NoGradGuard noGrad;
    if (const auto* encoder = dynamic_cast<const model::Encoder*>(&model))
        return statesOf(*encoder, texts);
    auto& decoder = dynamic_cast<model::LanguageModel&>(model);
    Answers out;
    for (const auto& text : texts) {
        if (text.size() < 2)
            continue;
        // An encoder-decoder reads the first half and foretells the second.
        const bool apart = decoder.config.kind == model::ModelKind::EncoderDecoder;
        const auto given = apart ? static_cast<std::int64_t>(text.size()) / 2 : 1;
        model::PackedTokens tokens;
        tokens.add(text, given);
        const auto rows = decoder.hidden(tokens).narrow(0, given - 1, tokens.size() - given + 1);
        out.logits.push_back(decoder.logits(rows));
        tensor::HeadLossInfo info;
        const std::vector<std::int64_t> labels(tokens.ids.begin() + given, tokens.ids.end());
        decoder.loss(rows.narrow(0, 0, rows.size(0) - 1), labels, 1.0, info);
        out.nll += info.total();
        out.tokens += tokens.size() - given;
    }
    return out;
}

Proof compareAnswers(const Answers& before, const Answers& after)
{
    Proof proof;
    proof.texts = static_cast<std::int64_t>(before.logits.size());
    proof.tokens = before.tokens;
    proof.states = before.states;
    bool same = before.logits.size() == after.logits.size() && before.tokens == after.tokens;
    for (std::size_t i = 0; same && i < before.logits.size(); ++i) {
        same = before.logits[i].sizes() == after.logits[i].sizes();
        if (!same)
            break;
        const auto difference = (before.logits[i] - after.logits[i]).abs().max().item<double>();
        same = std::isfinite(difference);
        proof.largestDifference = std::max(proof.largestDifference, difference);
    }
    proof.unexplained = proof.largestDifference;
    const auto count = static_cast<double>(std::max<std::int64_t>(1, before.tokens));
    proof.perplexityBefore = std::exp(before.nll / count);
    proof.perplexityAfter = std::exp(after.nll / count);
    const double rise = std::expm1((after.nll - before.nll) / count);
    proof.passed = same && proof.texts > 0 && proof.largestDifference <= kLogitLimit &&
                   rise <= kPerplexityRiseLimit;
    return proof;
}

void keepStoredPart(model::Model& model)
{
    const at::NoGradGuard noGrad;
    auto* encoder = dynamic_cast<model::Encoder*>(&model);
    if (!encoder)
        return;
    encoder->pooler = encoder->headDense = model::LinearSite();
    encoder->headNorm = model::Norm();
    encoder->headBias = Tensor();
    encoder->heads.clear();
    encoder->config = model::ggufPart(encoder->config);
    encoder->config.tieEmbeddings = true;
    encoder->tie();
    encoder->positions = encoder->positions.clone();
    encoder->positions.narrow(0, 0, encoder->config.encoder.firstPosition).zero_();
}

void moveScoreScale(model::Model& model, const model::ModelConfig& written)
{
    const at::NoGradGuard noGrad;
    auto& config = model.config;
    std::map<std::string, double> factors;
    for (std::int64_t layer = 0; layer < config.layers; ++layer) {
        const double factor = config.scaleOfLayer(layer) / written.scaleOfLayer(layer);
        const bool normed = config.headNorm != model::HeadNorm::None;
        if (std::abs(factor - 1) > 1e-6)
            factors[config.names.inLayer(layer, normed ? config.names.qNorm : config.names.q) +
                    ".weight"] = factor;
    }
    for (const auto& [name, value] : model.parameters()) {
        const auto found = factors.find(name);
        if (found == factors.end())
            continue;
        const double one = value->dim() == 1 && config.norm == model::NormKind::RmsPlusOne ? 1 : 0;
        *value = (*value + one) * found->second - one;
    }
    config.attentionScale = written.attentionScale;
}

Result<std::int64_t> checkRounded(model::Model& model, model::Model& written, double limit)
{
    const at::NoGradGuard noGrad;
    const auto weights = weightsOf(written);
    const auto inMemory = weightsOf(model);
    for (const auto& [name, mine] : inMemory) {
        const auto found = weights.find(name);
        if (found == weights.end() || found->second.sizes() != mine.sizes())
            return differs(name);
        const double away = (found->second - mine).norm().item<double>(),
                     allowed = limit * mine.norm().item<double>() +
                               kSmallest * std::sqrt(static_cast<double>(mine.numel()));
        if (!(away <= allowed))
            return differs(name);
    }
    for (const auto& [name, theirs] : weights) {
        if (!inMemory.contains(name))
            return differs(name);
    }
    return static_cast<std::int64_t>(model.parameters().size());
}

Proof proveModel(model::Model& model, model::Model& written, const Answers& before,
                 const Texts& texts)
{
    const auto merged = compareAnswers(before, answersOf(model, texts));
    const auto weights = weightsOf(written);
    for (const auto& [name, value] : model.parameters())
        *value = weights.at(name);
    model.headWeight = written.headWeight;
    if (isGelu(model) && isGelu(written))
        model.config.activation = written.config.activation;
    const auto after = answersOf(written, texts);
    const auto rounded = compareAnswers(answersOf(model, texts), after);
    auto proof = compareAnswers(before, after);
    proof.unexplained = std::max(merged.largestDifference, rounded.largestDifference);
    proof.passed = merged.passed && rounded.passed;
    return proof;
}

Json toJson(const Proof& p)
{
    if (p.states)
        return {{"texts", p.texts},
                {"prompts", p.prompts},
                {"tokens", p.tokens},
                {"weights", p.weights},
                {"largestStateDifference", p.largestDifference},
                {"unexplainedStateDifference", p.unexplained},
                {"limit", kLogitLimit},
                {"passed", p.passed}};
    return {{"texts", p.texts},
            {"prompts", p.prompts},
            {"rows", p.texts - p.prompts},
            {"tokens", p.tokens},
            {"weights", p.weights},
            {"largestLogitDifference", p.largestDifference},
            {"unexplainedLogitDifference", p.unexplained},
            {"limit", kLogitLimit},
            {"perplexityBefore", p.perplexityBefore},
            {"perplexityAfter", p.perplexityAfter},
            {"passed", p.passed}};
}

} // namespace fettle::deploy
