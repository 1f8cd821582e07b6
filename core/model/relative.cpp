#include "model/relative.h"

#include "tensor/torch_pch.h"

#include <cmath>

namespace fettle::model {

using at::Tensor;

Tensor relativeBuckets(const Tensor& distances, const RelativeConfig& config, bool bothDirections)
{
    auto buckets = config.buckets;
    Tensor base = at::zeros_like(distances), far = distances.neg().clamp_min(0);
    if (bothDirections) {
        buckets /= 2;
        base = distances.gt(0).to(at::kLong) * buckets;
        far = distances.abs();
    }
    const auto exact = buckets / 2;
    const double span =
        std::log(static_cast<double>(config.maxDistance) / static_cast<double>(exact));
    const auto steps = at::log(far.to(at::kFloat) / exact) / span * (buckets - exact);
    const auto shared = (steps.to(at::kLong) + exact).clamp_max(buckets - 1);
    return base + at::where(far.lt(exact), far, shared);
}

Tensor relativeBias(const Tensor& table, const Tensor& distances, const RelativeConfig& config,
                    bool bothDirections)
{
    const auto buckets = relativeBuckets(distances, config, bothDirections);
    return at::embedding(table, buckets).movedim(-1, 0); // [heads, ...]
}

Tensor distancesBetween(std::int64_t queries, std::int64_t keys, std::int64_t first,
                        c10::Device device)
{
    const auto options = at::TensorOptions().dtype(at::kLong).device(device);
    return at::arange(keys, options).unsqueeze(0) -
           at::arange(first, first + queries, options).unsqueeze(1);
}

} // namespace fettle::model
