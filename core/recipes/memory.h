#pragma once

#include "base/param_spec.h"
#include "model/import/model_config.h"
#include "tensor/files/weight_kind.h"

#include <cstdint>

namespace fettle::recipes {

/// What the optimizer remembers, in memory and in a save point.
std::uint64_t momentBytes(const model::ModelConfig& config, const ParamValues& settings);
/// How many numbers of a model a run with these settings moves.
std::int64_t trainableParameters(const model::ModelConfig& config, const ParamValues& settings);

/// Where a run computes, and what is free there; 0: not known.
struct Room
{
    bool onCard = false;
    std::uint64_t available = 0;
};
Room roomFor(const ParamValues& settings);

/// What a run does where memory is short; the numbers stay the same.
struct Savings
{
    std::int64_t recomputed = 0; ///< layers that compute their activations again in the backward pass
    bool hostMoments = false;    ///< what the optimizer keeps in 32 bits lies in the computer's memory
    bool hostTable = false;      ///< so does an embedding that does not train
};

/// How large the pieces of a run are that lie in memory together.
struct PieceSizes
{
    std::int64_t tokens = 0;     ///< of the largest micro-batch; 0: as many as the settings allow
    std::int64_t taught = 0;     ///< most taught tokens of a micro-batch; 0: not known
    std::int64_t answered = 0;   ///< tokens of the fixed questions and answers that a check writes
    Savings savings;
    bool onCard = false; ///< of which the memory is meant
};

/// Bytes that training takes at its peak (estimated): weights as the settings hold them, what the
/// optimizer keeps, and the activations of one micro-batch, in float32 on the processor. `stored`:
/// see ModelFiles::storedKind().
std::uint64_t trainingBytes(const model::ModelConfig& config, tensor::WeightKind stored,
                            const ParamValues& settings, const PieceSizes& sizes = {});

/// What the settings ask for, or as little as lets the run fit into the room, if anything does: first layers
/// made again, then on a card moments and embedding on the host. Encoder-decoders, and decoders whose experts are kept in
/// balance, make no layer again.
Savings savingsFor(const model::ModelConfig& config, tensor::WeightKind stored, const ParamValues& settings, Room room);

/// Bytes that answering takes (estimated): weights as they are stored, and the keys and values of
/// one full context of at most 4,096 tokens in float32.
std::uint64_t answeringBytes(const model::ModelConfig& config, tensor::WeightKind stored);

} // namespace fettle::recipes
