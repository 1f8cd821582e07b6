#pragma once

#include "model/import/gguf_slots.h"
#include "tensor/files/ggml_types.h"

namespace fettle::model {

/// The forms in which whole models are written as GGUF files.
enum class GgufKind
{
    F32,
    F16,
    BF16,
    Q8_0,
    Q6_K,
    Q5_K_M,
    Q5_1,
    Q5_0,
    Q4_K_M,
    Q4_1,
    Q4_0
};

struct GgufKindInfo
{
    GgufKind kind;
    std::string_view name;    ///< "Q4_K_M"
    tensor::GgmlType type;    ///< of most matrices
    std::uint32_t fileType;   ///< general.file_type
    std::string_view meaning; ///< for people
};

/// The largest first.
std::span<const GgufKindInfo> ggufKinds();
const GgufKindInfo& infoOf(GgufKind kind);
/// Errors: InvalidInput naming the known ones.
Result<GgufKind> ggufKindFrom(const std::string& name);

/// The type of every tensor, as llama.cpp's own quantiser chooses: matrices that answers hang on
/// most get more bits, vectors and norms stay in float32, and rows that do not fill the blocks of a
/// type get the next larger one.
std::vector<tensor::GgmlType> ggufTypes(GgufKind kind, const std::vector<GgufSlot>& slots,
                                        const ModelConfig& config);

} // namespace fettle::model
