#pragma once

#include "base/rng.h"
#include "tensor/product.h"
#include "tensor/scratch.h"

#include <array>
#include <functional>
#include <vector>

namespace fettle::model::fused {

using tensor::AlignedBuffer;
using tensor::LeftSide;
using tensor::ProductSum;
using tensor::RightSide;
using tensor::runTasks;
using tensor::Scratch;
using tensor::TaskList;
using Index = std::int64_t;

/// Blocks of rows begin at multiples of this; sums over rows are made of each such piece first, so
/// that they do not depend on the number of threads.
inline Index rowUnit() { return RightSide::rowUnit(); }
/// Most rows that are taken through a layer together: their activations stay in the cache.
inline Index rowBlock() { return 160 / rowUnit() * rowUnit(); }

/// One linear layer as the kernels see it: y = x W^T + bias + scale (dropped(x) A^T) B^T. Pointers
/// into tensors of the model; those to gradients are null where nothing trains.
struct Linear
{
    Index in = 0, out = 0; ///< no outputs: a layer has not this site
    const float *weight = nullptr,
                *bias = nullptr; ///< W[o][i] = weight[o * rowStride + i * colStride]
    Index rowStride = 0, colStride = 1;
    const tensor::QuantisedMatrix* packed = nullptr; ///< frozen [out, in], in place of `weight`
    Index rank = 0;                         ///< 0: no low-rank update
    const float *a = nullptr, *b = nullptr; ///< [rank, in], [out, rank]
    float scale = 1;
    double dropout = 0;
    std::uint64_t site = 0; ///< number of the site, for its random stream
    float *weightGrad = nullptr, *biasGrad = nullptr, *aGrad = nullptr, *bGrad = nullptr;

    Index rankPanels() const { return (rank + 15) / 16; }
    bool trains() const { return weightGrad || biasGrad || aGrad; }
};

/// Which random masks a pass draws.
struct Masks
{
    const Rng* rng = nullptr; ///< null: nothing is dropped
    std::uint64_t draw = 0;
    const Index* places = nullptr; ///< which token of the data each row is
};

/// The operands of one layer in the form that the matrix kernels read, made anew for each pass; the
/// buffers are shared by the layers of a kind.
class LinearWork
{
public:
    /// Adds tasks that pack the operands of the forward (backward) direction.
    void packForward(const Linear& linear, TaskList& tasks);
    /// What packForward() adds for the update alone.
    void packThin(const Linear& linear, TaskList& tasks);
    void packBackward(const Linear& linear, TaskList& tasks);

    /// Rows x [rows, in] -> y [rows, out], added to y when `add`. `low` [rankPanels][lowRows][16]
    /// keeps scale * dropped(x) A^T of rows from `first` on. After packForward.
    void forward(const Linear& linear, const LeftSide& x, Index first, float* y, bool add,
                 float* low, Index lowRows, const Masks& masks) const;
    /// The same, but keeps `low` alone; after packThin().
    void keepThin(const Linear& linear, const LeftSide& x, Index first, float* low, Index lowRows,
                  const Masks& masks) const;
    /// dy [rows, out] -> dx [rows, in], added to when `add`; nothing is written to a null dx. Keeps
    /// scale * dy B for the gradients. After packBackward.
    void backward(const Linear& linear, const float* dy, Index rows, Index first, float* dx,
                  bool add, const Masks& masks);
    /// Room for the thin products of `rows` rows, before backward().
    void reserveRows(const Linear& linear, Index rows);
    /// Adds tasks that sum the gradients over `rows` rows. x [rows, in] is the input (after dropout),
    /// dy [rows, out], low as forward() kept it.
    void gradients(const Linear& linear, const RightSide& x, const float* dy, const float* low,
                   Index rows, TaskList& tasks) const;

private:
    RightSide m_forward, m_backward;                   ///< W^T [in, out]; W [out, in]
    RightSide m_toLow, m_backToLow;                    ///< scale A^T [in, rank]; scale B [out, rank]
    std::vector<RightSide> m_fromLow, m_backFromLow; ///< B^T [rank, out]; A [rank, in]: 16 rows in each
    AlignedBuffer m_low; ///< [rank / 16][rows][16] of the backward direction
    Index m_rows = 0;
};

/// The mask of rows from `first` on, [rows, dim], for a layer's input.
void drawMask(const Linear& linear, const Masks& masks, Index first, Index rows, float* mask);

} // namespace fettle::model::fused
