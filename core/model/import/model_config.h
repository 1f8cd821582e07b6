#pragma once

#include "base/json.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fettle::model {

/// How rotary position frequencies are stretched beyond the length of pre-training. The formulas of
/// each type are in rotary.h; here are only the checked numbers.
struct RopeScaling
{
    std::string type = "default"; ///< default, linear, dynamic, llama3, yarn or longrope
    double factor = 1, lowFreqFactor = 1, highFreqFactor = 4;
    double originalMaxPositions = 0;               ///< 0: not given, use maxPositions
    double attentionFactor = 0;                    ///< 0: not given, use the formula of the type
    std::vector<double> shortFactors, longFactors; ///< longrope only: one per rotary pair
    double betaFast = 32, betaSlow = 1;
};

enum class NormKind
{
    Rms,
    RmsPlusOne, ///< multiplies by 1 + weight
    Layer       ///< subtracts the mean; has a bias
};

/// What a model does with text.
enum class ModelKind
{
    Decoder,       ///< writes on behind the text that it reads
    Encoder,       ///< reads in both directions and gives numbers for what it read
    EncoderDecoder ///< reads one text in both directions, then writes another
};

/// How one matrix holds queries, keys and values.
enum class QkvForm
{
    Apart,   ///< three matrices
    Stacked, ///< all queries, then all keys, then all values
    PerHead  ///< for each head its query, key and value
};

/// Norms on queries and keys before the rotation.
enum class HeadNorm
{
    None,
    PerHead, ///< over each head
    Whole    ///< over all heads together
};

/// What differs from layer to layer.
struct LayerConfig
{
    std::int64_t window = 0; ///< keys that a query sees, itself included; 0: all before it
    bool rotary = true;      ///< false: this layer knows no positions
    bool local = false;      ///< turns by localRopeTheta, without scaling
    bool sparse = false;     ///< experts in place of the feed-forward part
};

/// Sparse feed-forward parts: a router picks `perToken` of `count` experts for every token.
struct ExpertConfig
{
    std::int64_t count = 0, perToken = 0, intermediate = 0;
    bool normalise = true; ///< the weights of the picked ones sum to 1
    double balance = 0;    ///< weight of the balance loss in training, see experts.h; 0: none
};

/// Names of weights as published, without ".weight" and ".bias"; empty where a family has no such
/// part. Names of a layer's parts follow `layer` + number + "."; an expert's have "{}" for its
/// number.
struct WeightNames
{
    std::string prefix; ///< begins the names in some files and is absent in others: "transformer."
    std::string embedding = "model.embed_tokens", positions, finalNorm = "model.norm";
    std::string head = "lm_head", layer = "model.layers.";
    std::string attentionNorm = "input_layernorm", mlpNorm = "post_attention_layernorm";
    std::string afterAttention, afterMlp; ///< norms on what a part gives, before it is added
    std::string q = "self_attn.q_proj", k = "self_attn.k_proj", v = "self_attn.v_proj", qkv;
    std::string qNorm, kNorm, o = "self_attn.o_proj";
    std::string gate = "mlp.gate_proj", up = "mlp.up_proj", gateUp, down = "mlp.down_proj";
    std::string router, expertGate, expertUp, expertDown;
    // Of encoders.
    std::string tokenTypes, embeddingNorm, pooler;
    std::string headDense, headNorm, headBias; ///< of a masked-language head; `head` is its table
    // Of encoder-decoders: tables of the first layer, norm of the global tokens, cross attention.
    std::string relativeBias, globalBias, globalNorm;
    std::string crossNorm, crossQ, crossK, crossV, crossO;

    std::string inLayer(std::int64_t number, const std::string& part) const;
};

/// A weight that a model of this shape must have.
struct WeightShape
{
    std::string name; ///< as in published checkpoints: "model.layers.0.self_attn.q_proj.weight"
    std::vector<std::int64_t> shape;
    bool site = false; ///< the matrix of a linear layer on which methods may act
};

/// What an encoder, alone or before a decoder, has besides the shape of its layers.
struct EncoderConfig
{
    std::int64_t tokenTypes = 0;    ///< rows of the table of token types; 0: there is none
    std::int64_t firstPosition = 0; ///< row of the first token in the table of positions
    std::int64_t localRadius = 0;   ///< a token sees others at most so far away; 0: all
    std::int64_t globalBlock = 0;   ///< tokens that a global token sums up; 0: there are none
    std::string headActivation;     ///< of the masked-language head
    // Known when the weights were seen.
    bool pooler = false, languageHead = false;
    std::vector<WeightShape> heads; ///< classifiers and the like, kept as they are
};

/// Relative positions: a number for each distance and head is added to the scores.
struct RelativeConfig
{
    std::int64_t buckets = 0; ///< 0: there are none
    std::int64_t maxDistance = 0;
    bool inEachLayer = false; ///< each layer has its own numbers; else all take the first one's
    std::int64_t tablesIn(std::int64_t layers) const { return inEachLayer ? layers : 1; }
};

/// The stack of an encoder-decoder that writes; its widths are those of the encoder.
struct WriterConfig
{
    std::int64_t layers = 0;
    WeightNames names;
    std::int32_t startId = 0; ///< stands before the first token that is written
};

/// A model's shape in one normal form, whatever family and version of the file format said it:
/// the description from which the model is built (architectures/ fills it).
struct ModelConfig
{
    std::string family; ///< model_type as in the file: "llama", "qwen3"
    ModelKind kind = ModelKind::Decoder;
    bool wrapped =
        false; ///< the language part of a model that reads pictures too; see storedNames()
    std::int64_t layers = 0, hidden = 0, intermediate = 0, heads = 0, kvHeads = 0, headDim = 0;
    std::int64_t vocab = 0, maxPositions = 0;
    double normEps = 1e-6, ropeTheta = 10000;
    double localRopeTheta = 0;     ///< of layers that are local; 0: there are none
    RopeScaling rope;              ///< of the other layers
    std::int64_t rotaryDim = 0;    ///< leading dimensions of a head that turn; 0: none
    bool learnedPositions = false; ///< a table of maxPositions rows is added to the embedding
    NormKind norm = NormKind::Rms;
    HeadNorm headNorm = HeadNorm::None;
    QkvForm qkv = QkvForm::Apart;
    bool parallelBlock = false;      ///< attention and feed-forward part read the same state
    bool transposedWeights = false;  ///< linear layers of blocks are stored [in, out]
    bool attentionBias = false;      ///< on q, k and v
    bool outputBias = false;         ///< on o
    bool mlpBias = false;            ///< on gate, up and down
    bool headBias = false;           ///< on the output head
    bool tieEmbeddings = false;      ///< the head is the embedding table
    std::int64_t slidingWindow = 0;  ///< of the layers that have one
    std::string activation = "silu"; ///< silu, gelu, gelu_tanh, quick_gelu, relu or relu2
    double attentionScale = 0;       ///< multiplies q . k; 0: 1 / sqrt(headDim)
    bool scaleByLayer = false;       ///< layer i divides it by i + 1 as well
    double attentionSoftcap = 0, logitSoftcap = 0; ///< x -> c tanh(x / c); 0: none
    double embeddingScale = 1, residualScale = 1, logitScale = 1;
    ExpertConfig experts;
    EncoderConfig encoder;
    RelativeConfig relative;
    WriterConfig writer;            ///< of encoder-decoders
    std::vector<LayerConfig> layer; ///< one for each layer
    WeightNames names;
    std::vector<std::int32_t> eosIds; ///< every id that ends an answer, from all files, in order
    std::optional<std::int32_t> bosId, padId;
    Json raw; ///< config.json as read

    /// Number of weights, a tied head counted once.
    std::int64_t parameters() const;
    /// Whether the feed-forward part has a gate beside its input.
    bool gated() const { return !names.gate.empty() || !names.gateUp.empty(); }
    double scaleOfLayer(std::int64_t number) const;
};

/// Reads config.json and generation_config.json of a Hugging Face folder. Reads old (rope_scaling)
/// and new (rope_parameters) keys.
/// Errors: NotFound without config.json, InvalidInput naming the key and its allowed values,
/// Unsupported for an unknown family, quantised weights or an unknown activation.
Result<ModelConfig> readModelConfig(const std::filesystem::path& folder);

/// The same from parsed files; `where` names the file in errors. `generation` may be null.
Result<ModelConfig> parseModelConfig(const Json& config, const Json& generation,
                                     const std::string& where);

/// Unsupported, with a sentence that says what the model is good for, unless it can write answers.
Result<void> requireWriter(const ModelConfig& config, const std::string& where);

/// Every weight the family needs, in the order of the layers. A tied head is not in the list.
std::vector<WeightShape> expectedWeights(const ModelConfig& config);

} // namespace fettle::model
