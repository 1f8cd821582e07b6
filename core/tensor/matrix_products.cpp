#include "tensor/matrix_products.h"

#include "tensor/kernels/cpu_kernels.h"
#include "tensor/ops_detail.h"
#include "tensor/product.h"
#include "tensor/torch_pch.h"

namespace fettle::tensor {

using at::Tensor;
using Index = std::int64_t;

namespace {

/// A matrix whose rows are packed, some at a time, as they are or turned to columns.
struct Source
{
    Index rows, columns;
    std::function<void(RightSide&, Index first, Index count, bool turned, TaskList&)> pack;
};

Source sourceOf(const QuantisedMatrix& w)
{
    return {w.rows(), w.columns(), [&w](RightSide& side, Index first, Index count, bool turned, TaskList& tasks) {
                side.pack(w, first, count, turned, tasks);
            }};
}

Source sourceOf(const Tensor& w)
{
    const float* values = w.const_data_ptr<float>();
    const auto down = w.stride(0), along = w.stride(1), columns = w.size(1);
    return {w.size(0), columns, [=](RightSide& side, Index first, Index count, bool turned, TaskList& tasks) {
                if (turned)
                    side.pack(values + first * down, along, down, columns, count, 1, tasks);
                else
                    side.pack(values + first * down, down, along, count, columns, 1, tasks);
            }};
}

/// part(first, right side) for parts of the matrix: [columns, some] if `turned`, else [some, columns].
void overParts(const Source& source, bool turned, const std::function<void(Index, const RightSide&)>& part)
{
    constexpr Index kPartValues = 1 << 20, kRows = 192;
    const auto some = std::max(kRows, kPartValues / source.columns / kRows * kRows);
    thread_local RightSide side;
    TaskList tasks;
    for (Index first = 0; first < source.rows; first += some) {
        tasks.clear();
        source.pack(side, first, std::min(some, source.rows - first), turned, tasks);
        runTasks(tasks);
        part(first, side);
    }
}

/// y (+)= x times a right side, rows shared out to the threads.
void multiply(const Tensor& x, const RightSide& side, float* y, Index yStride, bool add)
{
    constexpr Index kMostRows = 160;
    const auto rows = x.size(0), threads = computeThreads();
    const auto blocks = (rows + threads * kMostRows - 1) / (threads * kMostRows) * threads;
    const float* from = x.const_data_ptr<float>();
    parallelTasks(blocks, [&](Index block) {
        const auto first = rows * block / blocks, end = rows * (block + 1) / blocks;
        ProductSum sum;
        sum.add(from + first * x.stride(0), x.stride(0), x.stride(1), side);
        sum.into(y + first * yStride, end - first, side.columns(), yStride, add);
    });
}

void multiplyAll(const Tensor& x, const Source& w, Tensor& y)
{
    overParts(w, true, [&](Index first, const RightSide& side) {
        multiply(x, side, y.data_ptr<float>() + first, y.stride(0), false);
    });
}

void multiplyBack(const Tensor& dy, const Source& w, Tensor& dx)
{
    overParts(w, false, [&](Index first, const RightSide& side) {
        multiply(dy.narrow(1, first, side.rows()), side, dx.data_ptr<float>(), dx.stride(0), first > 0);
    });
}

} // namespace

bool byTiles(const Tensor& x) { return cpuKernels().tiles && useKernels(x); }

void tileProduct(const Tensor& x, const QuantisedMatrix& w, Tensor& y) { multiplyAll(x, sourceOf(w), y); }
void tileProductBack(const Tensor& dy, const QuantisedMatrix& w, Tensor& dx) { multiplyBack(dy, sourceOf(w), dx); }

void product(const Tensor& x, const Tensor& w, Tensor& y)
{
    if (byTiles(x) && useKernels(w))
        multiplyAll(x, sourceOf(w), y);
    else
        at::mm_out(y, x, w.t());
}

void productBack(const Tensor& dy, const Tensor& w, Tensor& dx)
{
    if (byTiles(dy) && useKernels(w))
        multiplyBack(dy, sourceOf(w), dx);
    else
        at::mm_out(dx, dy, w);
}

} // namespace fettle::tensor
