#include "model/experts.h"

#include "tensor/torch_pch.h"

namespace fettle::model {

at::Tensor balanceLoss(std::span<const at::Tensor> routerLogits, std::int64_t perToken)
{
    const auto logits = at::cat(at::TensorList(routerLogits.data(), routerLogits.size()), 0); // [L*T, E]
    const auto experts = logits.size(1);
    const auto wide = logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto probabilities = at::softmax(logits, -1, wide);
    const auto picked = std::get<1>(probabilities.detach().topk(perToken, -1)); // [L*T, k]
    const auto share = at::one_hot(picked, experts).to(wide).mean(0);           // [k, E]
    return (share * probabilities.mean(0).unsqueeze(0)).sum() * static_cast<double>(experts);
}

} // namespace fettle::model
