#pragma once

#include "base/json.h"
#include "model/import/model_config.h"
#include "tensor/files/gguf.h"

#include <span>

namespace fettle::model {

/// Whether the programs that run GGUF files expect a table for the output head.
enum class GgufHead
{
    Optional, ///< absent: the embedding table is the head
    Required, ///< a tied head is written as a copy
    Tied      ///< always the embedding table
};

/// Which biases those programs add to q, k and v, to what attention gives, and to the feed-forward
/// part.
enum class GgufBias
{
    None,
    Inputs, ///< on q, k and v, always
    All,    ///< on all, always
    AsGiven ///< on those that are in the file
};

/// What a family is in GGUF files. One table serves writing and reading; names of tensors are those
/// of ggufSlots().
struct GgufFamily
{
    std::string_view architecture; ///< general.architecture
    std::string_view family;       ///< model_type in config.json
    std::string_view className;    ///< architectures in config.json
    std::string_view activation;   ///< as config.json says it
    GgufHead head = GgufHead::Optional;
    GgufBias bias = GgufBias::None;
    bool rotaryRows = false; ///< rows of q and k are stored for rotary pairs that lie side by side
    bool freeHeads = true;   ///< the heads together may be wider or narrower than the model
    bool windows = false;    ///< sliding windows are applied
    bool shortKeys = false;  ///< config.json says n_embd, not hidden_size
    const char* epsilon = "rms_norm_eps"; ///< key of config.json
};

std::span<const GgufFamily> ggufFamilies();

/// The norm before the head of an encoder-decoder. Readers never scale the states before the head,
/// as some of these models do: the factor is in this norm, and the key says that it is there. Files
/// of other tools have no such key, and the norm as it was published.
inline constexpr const char* kGgufScaledNorm = "dec.output_norm.weight";
inline constexpr const char* kGgufNormScale = "t5.decoder.output_norm_scale";
/// Which of the families with the architectures "t5" and "bert" a file holds. Those of other tools
/// do not say it: there it is what tensors and tokenizer have.
inline constexpr const char* kGgufModelType = "huggingface.model_type";
/// Distance of the last bucket of relative positions, the one that readers know.
inline constexpr std::int64_t kGgufMaxDistance = 128;

/// The model as such files hold it: an encoder without pooler and heads.
ModelConfig ggufPart(ModelConfig config);

/// The row of a family. Errors: Unsupported, with the reason, for families that the programs which
/// run GGUF files do not know, and for settings of this model that they cannot express. What they
/// express only in part is added to `notes`, one sentence each.
Result<const GgufFamily*> ggufFamilyFor(const ModelConfig& config, std::vector<std::string>& notes);

/// The row of a file. Errors: Unsupported for an architecture that is not known here, for adapters
/// and for parts of a split file; InvalidInput without the key.
Result<const GgufFamily*> ggufFamilyOf(const tensor::GgufFile& file);

/// What readers divide scores by where a file cannot say it: 1 / sqrt of this number.
std::int64_t ggufScoreWidth(std::string_view architecture, std::int64_t layers, std::int64_t hidden,
                            std::int64_t heads, std::int64_t headDim);

} // namespace fettle::model
