#include "base/text.h"
#include "model/architectures/family.h"

#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

namespace {

/// "relu" or "gated-ACTIVATION"; "gated-gelu" has always meant the tanh form. True when gated.
bool readForwardPart(ConfigReader& reader, ModelConfig& config, const char* fallback)
{
    std::string name = reader.text("feed_forward_proj", fallback);
    const bool gated = name.starts_with("gated-");
    if (gated)
        name = name == "gated-gelu" ? "gelu_new" : name.substr(6);
    setActivation(reader, config, "feed_forward_proj", name);
    return gated;
}

/// Names of one stack; `attention` is what the file calls its first part, `last` numbers the
/// feed-forward part.
WeightNames stackNames(const std::string& stack, const std::string& attention, int last, bool gated)
{
    WeightNames names;
    const std::string self = "layer.0." + attention + ".";
    const std::string forward = fmt::format("layer.{}.DenseReluDense.", last);
    names.embedding = "shared";
    names.layer = stack + ".block.";
    names.attentionNorm = "layer.0.layer_norm";
    names.q = self + "q";
    names.k = self + "k";
    names.v = self + "v";
    names.o = self + "o";
    names.relativeBias = self + "relative_attention_bias";
    names.mlpNorm = fmt::format("layer.{}.layer_norm", last);
    names.gate = gated ? forward + "wi_0" : "";
    names.up = forward + (gated ? "wi_1" : "wi");
    names.down = forward + "wo";
    names.finalNorm = stack + ".final_layer_norm";
    return names;
}

/// Files with the reading half alone say so by their class.
void refuseHalves(ConfigReader& reader)
{
    const auto list = reader.object().find("architectures");
    if (list == reader.object().end() || !list->is_array() || list->empty() ||
        !list->front().is_string())
        return;
    if (list->front().get<std::string>().ends_with("EncoderModel"))
        reader.refuse("the files hold only the reading half of an encoder-decoder, which cannot "
                      "write",
                      ErrorCode::Unsupported,
                      "Choose the whole model, whose class ends in ForConditionalGeneration");
}

void readCommon(ConfigReader& reader, ModelConfig& config, const char* forward,
                const std::string& attention, std::int64_t positions)
{
    config.kind = ModelKind::EncoderDecoder;
    refuseHalves(reader);
    readShape(reader, config,
              {.layers = "num_layers",
               .hidden = "d_model",
               .intermediate = "d_ff",
               .heads = "num_heads",
               .kvHeads = "num_heads",
               .positions = "n_positions", // what it was trained with: there is no table
               .activation = nullptr,
               .headDim = "d_kv",
               .defaultPositions = positions,
               .defaultHeadDim = 64});
    const bool gated = readForwardPart(reader, config, forward);
    config.writer.layers = reader.integer("num_decoder_layers", 1, 512, config.layers);
    config.relative.buckets = reader.integer("relative_attention_num_buckets", 4, 4096, 32);
    config.relative.maxDistance =
        reader.integer("relative_attention_max_distance", 1, 1 << 20, 128);
    if (config.relative.buckets % 4 != 0 ||
        config.relative.maxDistance <= config.relative.buckets / 2)
        reader.refuse(
            "'relative_attention_num_buckets' must be a multiple of 4 and less than twice "
            "'relative_attention_max_distance'");
    config.norm = NormKind::Rms;
    config.normEps = reader.real("layer_norm_epsilon", 0, 1, 1e-6);
    config.attentionScale = 1;
    config.tieEmbeddings = true;
    const auto padding = reader.integer("pad_token_id", 0, config.vocab - 1, 0);
    config.writer.startId = static_cast<std::int32_t>(
        reader.integer("decoder_start_token_id", 0, config.vocab - 1, padding));
    config.names = stackNames("encoder", attention, 1, gated);
    auto& writer = config.writer.names = stackNames("decoder", "SelfAttention", 2, gated);
    writer.crossNorm = "layer.1.layer_norm";
    writer.crossQ = "layer.1.EncDecAttention.q";
    writer.crossK = "layer.1.EncDecAttention.k";
    writer.crossV = "layer.1.EncDecAttention.v";
    writer.crossO = "layer.1.EncDecAttention.o";
}

/// A file that says its head is not the embedding table (v1.1, flan) does not shrink the states
/// before the head; one that says it is, or says nothing, does. New files have a key for it.
void readHeadScale(ConfigReader& reader, ModelConfig& config)
{
    if (reader.flag("scale_decoder_outputs", reader.flag("tie_word_embeddings", true)))
        config.logitScale = 1 / std::sqrt(static_cast<double>(config.hidden));
}

} // namespace

/// t5, flan-t5: RMS norms before each part, no biases, bucketed relative positions in place of any
/// other, scores without a scale.
void readT5(ConfigReader& reader, ModelConfig& config)
{
    readCommon(reader, config, "relu", "SelfAttention", 512);
    readHeadScale(reader, config);
}

/// mt5: as t5 with a gate; its states are never scaled before the head.
void readMt5(ConfigReader& reader, ModelConfig& config)
{
    readCommon(reader, config, "gated-gelu", "SelfAttention", 1024);
}

/// umt5: as mt5 with numbers for the distances in each layer; always scaled before the head, as the
/// reference does whatever the file says of the head.
void readUmt5(ConfigReader& reader, ModelConfig& config)
{
    readCommon(reader, config, "gated-gelu", "SelfAttention", 1024);
    config.logitScale = 1 / std::sqrt(static_cast<double>(config.hidden));
    config.relative.inEachLayer = true;
}

/// longt5: as t5; tokens of the encoder see their neighbourhood, and the sums of all blocks
/// (transient-global).
void readLongt5(ConfigReader& reader, ModelConfig& config)
{
    const std::string type = reader.text("encoder_attention_type", "local");
    const bool global = type == "transient-global";
    if (!global && type != "local")
        reader.refuse(fmt::format("'encoder_attention_type' is '{}', known are local and "
                                  "transient-global",
                                  quotable(type, 60)),
                      ErrorCode::Unsupported);
    const std::string attention = global ? "TransientGlobalSelfAttention" : "LocalSelfAttention";
    readCommon(reader, config, "relu", attention, 4096);
    readHeadScale(reader, config);
    config.encoder.localRadius = reader.integer("local_radius", 1, 1 << 20, 127);
    if (!global)
        return;
    config.encoder.globalBlock = reader.integer("global_block_size", 1, 1 << 20, 16);
    config.names.globalBias = "layer.0." + attention + ".global_relative_attention_bias";
    config.names.globalNorm = "layer.0." + attention + ".global_input_layer_norm";
}

} // namespace fettle::model
