#pragma once

#include "methods/method.h"

#include <ATen/core/Tensor.h>
#include <map>
#include <string>
#include <vector>

namespace fettle::train {

struct AdamwSettings
{
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0;
};

/// AdamW with explicit state, one pair of float32 moments per tensor.
/// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
class Adamw
{
public:
    Adamw(std::vector<methods::TrainableTensor> tensors, AdamwSettings settings);

    /// Length of the whole gradient (2-norm, summed in double). Tensors without a gradient count as 0.
    double gradNorm() const;
    /// One update with the gradient times `gradScale`; gradients are released.
    void step(double learningRate, double gradScale);
    void zeroGrad();

    std::int64_t steps() const { return m_steps; }
    /// Moments by name for saving: "exp_avg.<name>", "exp_avg_sq.<name>".
    std::map<std::string, at::Tensor> state() const;
    /// Errors: InvalidInput when a tensor is missing or has another shape.
    Result<void> load(const std::map<std::string, at::Tensor>& state, std::int64_t steps);

private:
    std::vector<methods::TrainableTensor> m_tensors;
    std::vector<at::Tensor> m_first, m_second;  // created at the first step
    AdamwSettings m_settings;
    std::int64_t m_steps = 0;
};

} // namespace fettle::train
