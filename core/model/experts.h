#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <span>

namespace fettle::model {

/// How unevenly a router spreads tokens over its experts, as a scalar with a gradient:
/// E * sum over ranks r and experts e of (share of tokens whose r-th choice is e) * (mean
/// probability of e), over all layers together; k, the number of choices, when all are used alike.
/// routerLogits: per layer [T, E]. Source: Switch Transformer (Fedus et al. 2021, eq. 4 to 6), in the
/// form that Mixtral's authors publish.
at::Tensor balanceLoss(std::span<const at::Tensor> routerLogits, std::int64_t perToken);

} // namespace fettle::model
