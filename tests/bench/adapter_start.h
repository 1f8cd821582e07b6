#pragma once

#include "methods/method.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <cmath>

namespace fettle::bench {

/// The first A of every low-rank pair, the same numbers as in peers/common.py.
inline void setAdapterStart(const methods::Attached& attached)
{
    const at::NoGradGuard noGrad;
    for (const auto& each : attached.trainable()) {
        if (!each.name.ends_with("lora_A.weight"))
            continue;
        at::Tensor start = at::empty(each.value.sizes(), at::kFloat);
        const double bound = 1 / std::sqrt(static_cast<double>(start.size(1)));
        float* values = start.data_ptr<float>();
        for (std::int64_t i = 0; i < start.numel(); ++i) {
            auto x = static_cast<std::uint32_t>(i);
            x = (x ^ x >> 16) * 0x7FEB352DU;
            x = (x ^ x >> 15) * 0x846CA68BU;
            x ^= x >> 16;
            values[i] = static_cast<float>((x / 4294967296.0 * 2 - 1) * bound);
        }
        at::Tensor value = each.value;
        value.copy_(start);
    }
}

} // namespace fettle::bench
