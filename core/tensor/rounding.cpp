#include "tensor/rounding.h"

#include "tensor/torch_pch.h"
#include "tensor/transfer.h"

namespace fettle::tensor {

using at::Tensor;

Tensor roundedAtRandom(const Tensor& wide, const Rng& rng, std::uint64_t step)
{
    const auto count = wide.numel();
    const Tensor noise = at::empty({count}, at::kInt);
    auto* values = noise.data_ptr<std::int32_t>();
    at::parallel_for(0, (count + 3) / 4, 4096, [&](std::int64_t from, std::int64_t to) {
        for (auto part = from; part < to; ++part) {
            const auto words = rng.block(step, static_cast<std::uint64_t>(part));
            for (std::int64_t i = part * 4; i < std::min(count, part * 4 + 4); ++i)
                values[i] = static_cast<std::int32_t>(words[static_cast<std::size_t>(i % 4)] & 0xFFFF);
        }
    });
    const Tensor bits = wide.contiguous().view(at::kInt) + onDevice(noise, wide.device()).view(wide.sizes());
    return bits.bitwise_and(-65536).view(at::kFloat).to(at::kBFloat16); // exact: the lower half is zero
}

} // namespace fettle::tensor
