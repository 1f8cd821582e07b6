#pragma once

#include "model/language_model.h"

#include <memory>

namespace fettle::model {

class Decoder;

/// A pass without a gradient that may fill a cache and go on behind earlier tokens.
struct Reading
{
    const PackedTokens& tokens;
    KvCache* into = nullptr;                   ///< slots[d] gets document d behind the earlier tokens
    std::span<const std::int64_t> slots = {};
    const KvCache* earlier = nullptr;          ///< what its slot 0 holds stands before every document
    std::span<const std::int64_t> wanted = {}; ///< as in PassContext

    std::int64_t before() const { return earlier ? earlier->lengths[0] : 0; }
};

/// The fast way through a decoder: its blocks as one node of the graph with a hand-written backward
/// pass (fused/stack.h), in float32 on the processor. Gradients of the weights that train are added
/// to their .grad at once; the graph only carries that of the input.
class FusedDecoder
{
public:
    explicit FusedDecoder(Decoder& decoder);
    ~FusedDecoder();

    /// True when this model, as its sites and terms are now, is one that the fused pass knows.
    bool takes(const at::Tensor& input, const PassContext& pass) const;
    /// Angles of the tokens of a pass, [T, headDim / 2]; undefined where no layer asks for them.
    struct Turns
    {
        at::Tensor cosine, sine;
    };
    /// input [T, hidden] -> states before the last norm, [T or wanted, hidden]. `turns`: of the
    /// global and of the local layers.
    at::Tensor run(const at::Tensor& input, const PackedTokens& tokens, const PassContext& pass,
                   const std::array<Turns, 2>& turns);
    /// The same without a gradient. The earlier tokens' rows of the cache are the caller's to fill.
    at::Tensor read(const at::Tensor& input, const Reading& reading,
                    const std::array<Turns, 2>& turns);
    /// True when one token a slot can go the fast way; asked besides takes().
    bool decodes(std::size_t slots) const;
    /// One token more for each slot: input [slots, hidden] -> states before the last norm. The
    /// lengths of the cache are the caller's to raise.
    at::Tensor decode(const at::Tensor& input, const std::array<Turns, 2>& turns, KvCache& cache,
                      std::span<const std::int64_t> slots);

private:
    struct State;
    std::shared_ptr<State> m_state;
    Decoder& m_decoder;
};

} // namespace fettle::model
