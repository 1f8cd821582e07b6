#pragma once

#include "model/import/gguf_families.h"

namespace fettle::model {

/// How the rows of a published weight lie in a GGUF file.
enum class GgufRows
{
    InOrder,
    RotaryPairs, ///< within each head, pair by pair: (j, j + half) side by side
    HeadsApart,  ///< published head by head as query, key, value; stored as all queries, all keys
                 ///< ...
    Transposed   ///< published [in, out], stored [out, in]
};

/// A tensor of a GGUF file and the published weights that it holds: one, or one for each expert.
/// stored value = (published value + added) * factor.
struct GgufSlot
{
    std::string name;                   ///< "blk.0.attn_q.weight"
    std::vector<std::string> published; ///< "model.layers.0.self_attn.q_proj.weight"
    std::vector<std::int64_t> shape;    ///< as stored, [out, in]; of experts [count, out, in]
    GgufRows rows = GgufRows::InOrder;
    std::int64_t heads = 0; ///< of RotaryPairs and HeadsApart
    std::uint64_t skipped =
        0; ///< published rows in front of those that are stored; nothing reads them
    float added = 0, factor = 1;
    std::int64_t layer = -1;

    /// Rows and columns of one published weight as it is stored; a bias has rows of one value.
    std::uint64_t rowCount() const;
    std::uint64_t columns() const;
    /// The published row that lies at this place; not for Transposed.
    std::uint64_t publishedRow(std::uint64_t stored) const;
    /// Its inverse.
    std::uint64_t storedRow(std::uint64_t row) const;
};

/// Every tensor of the model's GGUF file, in the order of the layers. The one place that knows the
/// names.
std::vector<GgufSlot> ggufSlots(const ModelConfig& config, const GgufFamily& family);

} // namespace fettle::model
