#pragma once

#include "methods/method.h"
#include "tensor/cuda/kernel_table.h"
#include "tensor/kernels/cpu_kernels.h"
#include "train/optimizers/blockwise.h"

#include <ATen/core/Tensor.h>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fettle::train {

struct AdamwSettings
{
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0;
    bool eightBits = false; ///< moments of large tensors in 8 bits; see keepsEightBits()
    std::uint64_t seed = 0; ///< of the noise with which weights in bfloat16 are rounded
    bool hostMoments = false; ///< those in 32 bits of tensors on a card lie in host memory between their steps
};

/// Tables of embeddings, whose rows move rarely, and small tensors keep their moments in 32 bits; so do all
/// on a device without kernels.
bool keepsEightBits(const methods::TrainableTensor& each);

/// AdamW with explicit state, one pair of moments per tensor, in float32 or in 8 bits. What is computed is
/// computed in float32 whatever the weights are; those in bfloat16 are rounded at random, right on average
/// (tensor::roundedAtRandom), as a function of seed, step, tensor and element.
/// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
class Adamw
{
public:
    Adamw(std::vector<methods::TrainableTensor> tensors, AdamwSettings settings);

    /// Sum of the squares of the whole gradient, in double: what was added up on the processor, and a scalar
    /// that still lies on a device (undefined: none). Tensors without a gradient count as 0.
    struct Squares
    {
        double here = 0;
        at::Tensor there;
    };
    Squares gradSquares() const;
    /// Length of the whole gradient, the root of both.
    double gradNorm() const;
    /// One update with the gradient times `gradScale`; gradients are released.
    void step(double learningRate, double gradScale);
    void zeroGrad();

    std::int64_t steps() const { return m_steps; }
    /// Moments by name for saving: "exp_avg.<name>", "exp_avg_sq.<name>"; those in 8 bits are codes
    /// with "exp_avg_absmax.<name>", "exp_avg_sq_absmax.<name>" beside them.
    std::map<std::string, at::Tensor> state() const;
    /// Errors: InvalidInput when a tensor is missing or has another shape.
    Result<void> load(const std::map<std::string, at::Tensor>& state, std::int64_t steps);

private:
    /// Both moments of one tensor, in one of the two forms.
    struct Moments
    {
        at::Tensor first, second;
        std::optional<BlockwiseMoment> firstCodes, secondCodes;
        bool onHost = false; ///< first and second lie in host memory, the tensor elsewhere
    };

    /// Elements [begin, end) of a tensor on the processor: what one thread takes at a time.
    struct Piece
    {
        std::size_t tensor;
        std::int64_t begin, end;
    };

    /// Carries out work() with the moments of tensor i where the tensor is.
    template<class Work> void withMomentsThere(std::size_t i, Work work);
    double decayOf(std::size_t i) const { return m_tensors[i].decays ? m_settings.weightDecay : 0; }
    /// work(index, piece) for all pieces of all tensors, in one parallel region.
    template<class Work> void forPieces(Work work) const;
    void stepPiece(const Piece& piece, const float* grad, const tensor::AdamwStep& step);
    void stepReadable(std::size_t i, const at::Tensor& grad, double learningRate, double gradScale, double c1, double c2);
    tensor::cuda::AdamwTensor partsOf(std::size_t i, const at::Tensor& grad, float keep);

    std::vector<methods::TrainableTensor> m_tensors;
    std::vector<Moments> m_moments;
    std::vector<Piece> m_pieces; ///< of every tensor on the processor, in order
    AdamwSettings m_settings;
    Rng m_rounding;
    at::Tensor m_maps; ///< undefined: no moments are codes on a device
    std::int64_t m_steps = 0;
};

} // namespace fettle::train
