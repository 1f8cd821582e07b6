#include "deploy/export.h"

#include "model/import/export_files.h"
#include "tensor/torch_pch.h"

#include <cmath>
#include <map>

namespace fettle::deploy {

namespace fs = std::filesystem;
using at::Tensor;

Result<void> exportAdapter(const methods::Attached& attached, const std::string& baseModel, const fs::path& target)
{
    const auto config = attached.adapterConfig(baseModel);
    if (config.is_null())
        return Error{ErrorCode::Unsupported, "this method changes the whole model and has no add-on", "export",
                     "Write the merged folder instead"};
    std::vector<Tensor> kept;
    std::vector<tensor::TensorToWrite> tensors;
    for (const auto& each : attached.trainable()) {
        kept.push_back(each.value.detach().to(at::kCPU, at::kFloat).contiguous());
        tensors.push_back({{"base_model.model." + each.name, tensor::DType::F32, kept.back().sizes().vec()},
                           kept.back().const_data_ptr(),
                           static_cast<std::uint64_t>(kept.back().nbytes())});
    }
    return model::writePeftAdapter(target, Json(config), tensors);
}

Result<void> exportMerged(model::Decoder& decoder, methods::Attached& attached, const fs::path& baseFolder,
                          const fs::path& target)
{
    if (auto merged = attached.merge(); !merged)
        return merged;
    std::map<std::string, Tensor> weights;
    std::vector<tensor::TensorPlan> plan;
    for (const auto& [name, value] : decoder.parameters()) {
        weights.emplace(name, value->detach());
        plan.push_back({name, tensor::DType::F32, value->sizes().vec()});
    }
    const auto source = [&](const tensor::TensorPlan& item, const model::PartSink& sink) -> Result<void> {
        const Tensor value = weights.at(item.name).to(at::kCPU, at::kFloat).contiguous();
        return sink(value.const_data_ptr(), static_cast<std::uint64_t>(value.nbytes()));
    };
    return model::writeModelFolder(target, baseFolder, plan, source);
}

Answers answersOf(model::Decoder& decoder, const std::vector<std::vector<std::int32_t>>& texts)
{
    const at::NoGradGuard noGrad;
    Answers out;
    for (const auto& text : texts) {
        if (text.size() < 2)
            continue;
        model::PackedTokens tokens;
        tokens.add(text);
        const auto hidden = decoder.hidden(tokens);
        out.logits.push_back(decoder.logits(hidden));
        tensor::HeadLossInfo info;
        const std::vector<std::int64_t> labels(tokens.ids.begin() + 1, tokens.ids.end());
        decoder.loss(hidden.narrow(0, 0, tokens.size() - 1), labels, 1.0, info);
        out.nll += info.total();
        out.tokens += tokens.size() - 1;
    }
    return out;
}

Proof compareAnswers(const Answers& before, const Answers& after)
{
    Proof proof;
    proof.texts = static_cast<std::int64_t>(before.logits.size());
    proof.tokens = before.tokens;
    for (std::size_t i = 0; i < before.logits.size() && i < after.logits.size(); ++i)
        proof.largestDifference = std::max(proof.largestDifference,
                                           (before.logits[i] - after.logits[i]).abs().max().item<double>());
    const auto count = static_cast<double>(std::max<std::int64_t>(1, before.tokens));
    proof.perplexityBefore = std::exp(before.nll / count);
    proof.perplexityAfter = std::exp(after.nll / count);
    proof.passed = before.logits.size() == after.logits.size() && proof.largestDifference <= kProofLimit;
    return proof;
}

Json toJson(const Proof& p)
{
    return {{"texts", p.texts},
            {"tokens", p.tokens},
            {"largestLogitDifference", p.largestDifference},
            {"limit", kProofLimit},
            {"perplexityBefore", p.perplexityBefore},
            {"perplexityAfter", p.perplexityAfter},
            {"passed", p.passed}};
}

} // namespace fettle::deploy
