#pragma once

#include "base/rng.h"
#include "tensor/quantised_matrix.h"

#include <ATen/core/Tensor.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fettle::model {

/// What terms may know of the pass they take part in.
struct PassContext
{
    bool training = false;         ///< dropout and noise are on
    const Rng* dropout = nullptr;  ///< set when training
    std::uint64_t draw = 0;        ///< the step: each draws masks of its own
    /// Which token of the data each row of T is, whatever it is packed with: masks belong to it.
    /// Empty: the number of the row.
    std::span<const std::int64_t> places = {};
    /// When set, each layer with experts adds its router's logits [T, experts].
    std::vector<at::Tensor>* routerLogits = nullptr;
    /// Rows of T whose last states are asked for, in the order of the result; empty: all.
    std::span<const std::int64_t> wanted = {};
    /// Layers of a decoder, from the first on, whose activations are not kept but made again in the
    /// backward pass: less memory, the same bits. None where routers' logits are asked for.
    std::int64_t recomputedLayers = 0;
};

class LinearSite;

/// A term of the form scale (dropout(x) a^T) b^T with a [rank, in] and b [out, rank].
struct LowRank
{
    at::Tensor a, b;
    double scale = 1, dropout = 0;
};

/// A small part that acts at a linear site: low-rank updates, scalings, sparse deltas. Terms are added
/// to the untouched base output, so a term that is zero leaves every bit as it was.
class DeltaTerm
{
public:
    virtual ~DeltaTerm() = default;
    /// x [T, in] -> [T, out]: the site's base output with this term added.
    virtual at::Tensor forward(const LinearSite& site, const at::Tensor& x, const PassContext& pass) const = 0;
    /// The change of the weight [out, in] in float32 that this term stands for.
    virtual at::Tensor deltaWeight() const = 0;
    /// For terms that are nothing but a low-rank update: what the fused pass computes by itself.
    virtual std::optional<LowRank> lowRank() const { return {}; }
};

/// The only linear layer that models use, and a place where methods act: y = x W^T + b.
/// At most one term per site for now; methods that combine several put them behind one.
class LinearSite
{
public:
    std::string path;              ///< as in the checkpoint: "model.layers.3.self_attn.q_proj"
    std::int64_t layer = -1;       ///< -1 for the output head
    std::uint64_t index = 0;       ///< number of the site in the model, for random streams
    at::Tensor weight;             ///< [out, in], or [in, out] when `transposed`
    at::Tensor bias;               ///< [out] or undefined
    bool transposed = false;       ///< stored the other way round, as gpt2 does
    tensor::QuantisedPtr packed;   ///< [out, in] in few bits, frozen, in place of `weight`
    std::shared_ptr<DeltaTerm> term;
    bool termEnabled = true;       ///< false gives the base model at once

    bool exists() const { return weight.defined() || packed; }
    std::int64_t in() const { return packed ? packed->columns() : weight.size(transposed ? 0 : 1); }
    std::int64_t out() const { return packed ? packed->rows() : weight.size(transposed ? 1 : 0); }
    /// The weight as [out, in], whichever way it is stored; shares its memory, or is decoded anew.
    at::Tensor matrix() const;
    /// Holds the weight in few bits from now on, on `device`.
    void pack(tensor::WeightKind kind, c10::Device device = c10::kCPU);
    /// Adds a change [out, in] to the weight: summed in float32 or wider, rounded once. A packed one
    /// becomes float32.
    void addToWeight(const at::Tensor& delta);
    at::Tensor base(const at::Tensor& x) const;
    at::Tensor forward(const at::Tensor& x, const PassContext& pass) const;
};

} // namespace fettle::model
