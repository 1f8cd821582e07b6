#include "tensor/files/ggml_quantise.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace fettle::tensor {

namespace quant_baseline {
extern const QuantKernels table;
}
#if defined(__x86_64__)
namespace quant_avx2 {
extern const QuantKernels table;
}
#endif

namespace {

constexpr std::uint32_t kInfinityBits = 0x7f800000u;

using BlockKernel = void (*QuantKernels::*)(const float*, std::uint8_t*, std::uint64_t);

/// nullptr for types that are copied or not written.
BlockKernel kernelOf(GgmlType type)
{
    switch (type) {
    case GgmlType::F16:
        return &QuantKernels::f16;
    case GgmlType::BF16:
        return &QuantKernels::bf16;
    case GgmlType::Q4_0:
        return &QuantKernels::q4_0;
    case GgmlType::Q4_1:
        return &QuantKernels::q4_1;
    case GgmlType::Q5_0:
        return &QuantKernels::q5_0;
    case GgmlType::Q5_1:
        return &QuantKernels::q5_1;
    case GgmlType::Q8_0:
        return &QuantKernels::q8_0;
    case GgmlType::Q4_K:
        return &QuantKernels::q4_k;
    case GgmlType::Q5_K:
        return &QuantKernels::q5_k;
    case GgmlType::Q6_K:
        return &QuantKernels::q6_k;
    default:
        return nullptr;
    }
}

/// The largest value that the type can hold; scales are half-precision numbers.
std::uint32_t limitOf(GgmlType type)
{
    if (type == GgmlType::F32)
        return kInfinityBits - 1;
    if (type == GgmlType::BF16)
        return 0x7f7f7fffu; // what lies above is rounded to infinity
    return std::bit_cast<std::uint32_t>(65504.0f);
}

Error invalid(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "",
            "Choose F32 or BF16, or train the model again from a good save point"};
}

} // namespace

std::vector<const QuantKernels*> quantKernels()
{
    std::vector<const QuantKernels*> list;
#if defined(__x86_64__)
    // Processors with AVX2 have F16C too, for which clang 14 knows no name.
    if (__builtin_cpu_supports("avx2"))
        list.push_back(&quant_avx2::table);
#endif
    list.push_back(&quant_baseline::table);
    return list;
}

bool isWritable(GgmlType type) { return type == GgmlType::F32 || kernelOf(type) != nullptr; }

std::uint64_t storedBytes(GgmlType type, std::uint64_t count)
{
    const auto& info = *ggmlTypeInfo(static_cast<std::uint32_t>(type));
    return count / info.values * info.bytes;
}

Result<void> quantise(GgmlType type, const float* values, std::uint64_t count, std::byte* out)
{
    static const QuantKernels& kernels = *quantKernels().front();
    const auto* info = ggmlTypeInfo(static_cast<std::uint32_t>(type));
    if (!info || !isWritable(type))
        return Error{ErrorCode::Unsupported,
                     fmt::format("this program does not write {}",
                                 info ? std::string(info->name) : std::string("this type")),
                     "", ""};
    if (count % info->values != 0)
        return Error{
            ErrorCode::InvalidInput,
            fmt::format("{} values do not fill blocks of {} ({})", count, info->values, info->name),
            "", ""};
    const std::uint32_t largest = kernels.largest(values, count);
    if (largest >= kInfinityBits)
        return invalid("a weight is not a finite number");
    if (largest > limitOf(type))
        return invalid(fmt::format("a weight of {:.3g} is too large for {}",
                                   std::bit_cast<float>(largest), info->name));
    if (type == GgmlType::F32 && count > 0)
        std::memcpy(out, values, count * sizeof(float));
    if (const auto kernel = kernelOf(type))
        (kernels.*kernel)(values, reinterpret_cast<std::uint8_t*>(out), count / info->values);
    return {};
}

} // namespace fettle::tensor
