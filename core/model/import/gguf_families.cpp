#include "model/import/gguf_families.h"

#include "base/text.h"
#include "model/architectures/family.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

namespace {

using enum GgufBias;
using enum GgufHead;

constexpr const char *kSilu = "silu", *kGelu = "gelu_pytorch_tanh", *kErf = "gelu";

// Families that share an architecture stand in the order in which ggufFamilyOf() tries them.
constexpr GgufFamily kFamilies[] = {
    {"llama", "mixtral", "MixtralForCausalLM", kSilu, Optional, None, true},
    {"llama", "mistral", "MistralForCausalLM", kSilu, Optional, None, true},
    {"llama", "llama", "LlamaForCausalLM", kSilu, Optional, AsGiven, true},
    {"smollm3", "smollm3", "SmolLM3ForCausalLM", kSilu, Optional, None, true},
    {"granite", "granite", "GraniteForCausalLM", kSilu, Optional, AsGiven, true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", kSilu, Optional, Inputs, false, false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", kSilu},
    {"qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", kSilu},
    {"gemma", "gemma", "GemmaForCausalLM", kGelu, Tied},
    {"gemma2", "gemma2", "Gemma2ForCausalLM", kGelu, Tied, None, false, true, true},
    {"gemma3", "gemma3_text", "Gemma3ForCausalLM", kGelu, Optional, None, false, true, true},
    {"olmo2", "olmo2", "Olmo2ForCausalLM", kSilu, Required, None, false, false},
    {"phi3", "phi3", "Phi3ForCausalLM", kSilu, Optional, None, false, false},
    {"phi2", "phi", "PhiForCausalLM", "gelu_new", Required, All, false, false, false, false,
     "layer_norm_eps"},
    {"gptneox", "gpt_neox", "GPTNeoXForCausalLM", "gelu", Required, All, false, false, false, false,
     "layer_norm_eps"},
    {"gpt2", "gpt2", "GPT2LMHeadModel", "gelu_new", Optional, All, false, false, false, true,
     "layer_norm_epsilon"},
    {"starcoder", "gpt_bigcode", "GPTBigCodeForCausalLM", kGelu, Optional, All, false, false, false,
     true, "layer_norm_epsilon"},
    {"t5", "umt5", "UMT5ForConditionalGeneration", kGelu},
    {"t5", "t5", "T5ForConditionalGeneration", kGelu},
    {"t5", "mt5", "MT5ForConditionalGeneration", kGelu},
    {"bert", "distilbert", "DistilBertModel", kErf, Optional, All, false, false},
    {"bert", "roberta", "RobertaModel", kErf, Optional, All, false, false},
    {"bert", "xlm-roberta", "XLMRobertaModel", kErf, Optional, All, false, false},
    {"bert", "bert", "BertModel", kErf, Optional, All, false, false},
    {"bert", "camembert", "CamembertModel", kErf, Optional, All, false, false},
};

Error unsupported(std::string what, std::string remedy)
{
    return {ErrorCode::Unsupported, std::move(what), "", std::move(remedy)};
}

Error cannotSay(const ModelConfig& config, const std::string& what)
{
    return unsupported(
        fmt::format("GGUF files of the family '{}' cannot express {}", config.family, what),
        "Write the model as a Hugging Face folder instead");
}

Result<void> checkBiases(const ModelConfig& config, const GgufFamily& family)
{
    const bool any = config.attentionBias || config.outputBias || config.mlpBias;
    if (family.bias == None && any)
        return cannotSay(config, "biases on linear layers");
    if (family.bias == All && !(config.attentionBias && config.outputBias && config.mlpBias))
        return cannotSay(config, "linear layers without biases");
    return {};
}

Result<void> checkExperts(const ModelConfig& config)
{
    const auto sparse = std::ranges::count_if(config.layer, &LayerConfig::sparse);
    if (sparse != 0 && sparse != config.layers)
        return cannotSay(config, "layers with and without experts in one model");
    if (sparse != 0 && !config.experts.normalise)
        return cannotSay(config, "expert weights that do not sum to 1");
    return {};
}

/// What readers of encoder-decoders take for granted.
Result<void> checkStacks(const ModelConfig& config)
{
    if (config.relative.maxDistance != kGgufMaxDistance)
        return cannotSay(config, fmt::format("relative positions up to {} tokens; it is always {}",
                                             config.relative.maxDistance, kGgufMaxDistance));
    if (config.writer.layers > config.layers)
        return unsupported("programs that run GGUF files do not start an encoder-decoder whose "
                           "decoder has more layers than its encoder",
                           "Write the model as a Hugging Face folder instead");
    return {};
}

/// Factors, caps and positions that only some families know.
Result<void> checkNumbers(const ModelConfig& config, const GgufFamily& family)
{
    const bool granite = family.family == "granite", gemma = family.family.starts_with("gemma");
    const bool caps = family.family == "gemma2", stacks = family.architecture == "t5";
    if (!granite && (config.residualScale != 1 || (config.logitScale != 1 && !stacks) ||
                     (config.embeddingScale != 1 && !gemma)))
        return cannotSay(config, "factors on embeddings or logits");
    if ((config.attentionSoftcap != 0 && !caps) ||
        (config.logitSoftcap != 0 && !caps && family.family != "gemma3_text"))
        return cannotSay(config, "soft caps");
    const double usual = stacks ? 1 : 1 / std::sqrt(static_cast<double>(config.headDim));
    const bool scaled = std::abs(config.scaleOfLayer(config.layers - 1) / usual - 1) > 1e-6;
    if (scaled && !granite && !caps && family.family != "gemma3_text")
        return cannotSay(config, "an own scale of the attention scores");
    for (std::int64_t i = 0; i < config.layers; ++i) {
        const bool without = family.family == "smollm3" && (i + 1) % 4 == 0;
        if (config.layer[static_cast<std::size_t>(i)].rotary == without)
            return cannotSay(config, "this choice of layers without positions");
    }
    // Readers of other architectures look for no factors of their own for each frequency.
    const bool byFrequency = family.architecture == "llama" || granite ||
                             (family.family == "phi3" && config.rope.type == "longrope");
    if (!byFrequency && (config.rope.type == "llama3" || config.rope.type == "longrope"))
        return cannotSay(config, fmt::format("the rotary scaling '{}'", config.rope.type));
    if (!family.freeHeads && config.heads * config.headDim != config.hidden)
        return cannotSay(config, "heads that together are not as wide as the model");
    if (family.head == Tied && !config.tieEmbeddings)
        return cannotSay(config, "an output head of its own");
    return stacks ? checkStacks(config) : Result<void>();
}

/// The files name no activation: each architecture has one. Both forms of GELU count as one, with a
/// note.
Result<void> checkActivation(const ModelConfig& config, const GgufFamily& family)
{
    const auto gelu = [](std::string_view name) { return name.starts_with("gelu"); };
    // Encoder-decoders without a gate have another one.
    const auto known = family.architecture == "t5" && !config.gated() ? "relu" : family.activation;
    if (config.activation == known || (gelu(config.activation) && gelu(known)))
        return {};
    return cannotSay(config, fmt::format("the activation '{}'", config.activation));
}

void noteWhatDiffers(const ModelConfig& config, std::vector<std::string>& notes)
{
    if (config.rope.type == "dynamic")
        notes.push_back(fmt::format("the stretching of positions with the text's length is not in "
                                    "the file: texts above {} tokens are read otherwise",
                                    config.maxPositions));
    if (config.activation == "gelu")
        notes.push_back("programs that run GGUF files compute GELU by its tanh form, which differs "
                        "in the fourth digit");
    const auto& encoder = config.encoder;
    if (encoder.pooler || encoder.languageHead || !encoder.heads.empty())
        notes.push_back("the file holds the encoder alone, without its pooler and heads");
    if (encoder.tokenTypes > 1)
        notes.push_back("programs that run GGUF files give all tokens the first type: the second "
                        "text of a pair is read otherwise");
}

/// Readers take every second layer of gemma2, from the first on, as one with a window, whatever the
/// file says.
Result<void> checkWindows(const ModelConfig& config)
{
    for (std::size_t i = 0; config.family == "gemma2" && i < config.layer.size(); ++i) {
        if ((config.layer[i].window > 0) != (i % 2 == 0))
            return unsupported("programs that run GGUF files give every second layer of gemma2 a "
                               "sliding window, and this model has others",
                               "Write the model as a Hugging Face folder instead");
    }
    return {};
}

} // namespace

std::span<const GgufFamily> ggufFamilies() { return kFamilies; }

std::int64_t ggufScoreWidth(std::string_view architecture, std::int64_t layers, std::int64_t hidden,
                            std::int64_t heads, std::int64_t headDim)
{
    const bool largest =
        (architecture == "gemma2" && layers == 46) || (architecture == "gemma3" && layers == 62);
    return largest ? hidden / heads : headDim;
}

Result<const GgufFamily*> ggufFamilyFor(const ModelConfig& config, std::vector<std::string>& notes)
{
    const auto* family = std::ranges::find(kFamilies, config.family, &GgufFamily::family);
    if (family == std::end(kFamilies))
        return unsupported(
            fmt::format("models of the family '{}' are not written as GGUF files: the programs "
                        "that run these do not know it",
                        config.family),
            "Write the model as a Hugging Face folder instead");
    if (auto fine = checkBiases(config, *family); !fine)
        return fine.error();
    if (auto fine = checkExperts(config); !fine)
        return fine.error();
    if (auto fine = checkNumbers(config, *family); !fine)
        return fine.error();
    if (auto fine = checkActivation(config, *family); !fine)
        return fine.error();
    if (auto fine = checkWindows(config); !fine)
        return fine.error();
    noteWhatDiffers(config, notes);
    const bool slides = std::ranges::any_of(config.layer, [&](const LayerConfig& layer) {
        return layer.window > 0 && layer.window < config.maxPositions;
    });
    if (slides && !family->windows)
        notes.push_back(fmt::format("the sliding window is not applied by programs that run GGUF "
                                    "files: answers to texts above {} tokens can differ",
                                    config.slidingWindow));
    return family;
}

ModelConfig ggufPart(ModelConfig config)
{
    config.encoder.pooler = config.encoder.languageHead = false;
    config.encoder.heads.clear();
    return config;
}

namespace {

/// Whether a file of the family's architecture holds this one of those that share it.
bool holds(const tensor::GgufFile& file, const GgufFamily& family)
{
    const auto number = [&](const char* key) { return file.integer(key).value_or(0); };
    const auto& name = family.family;
    if (name == "mixtral")
        return number("llama.expert_count") != 0;
    if (name == "mistral")
        return number("llama.attention.sliding_window") != 0;
    if (name == "umt5") // numbers for the distances in each layer
        return file.tensor("enc.blk.1.attn_rel_b.weight") ||
               file.tensor("dec.blk.1.attn_rel_b.weight");
    const auto* types = file.tensor("token_types.weight");
    if (name == "distilbert")
        return !types;
    if (name == "roberta" || name == "xlm-roberta") // bert's words are cut otherwise
        return types && !types->dims.empty() &&
               types->values() == static_cast<std::uint64_t>(types->dims[0]) &&
               file.has("tokenizer.ggml.padding_token_id") &&
               file.text("tokenizer.ggml.model") == (name == "roberta" ? "gpt2" : "t5");
    return true;
}

} // namespace

Result<const GgufFamily*> ggufFamilyOf(const tensor::GgufFile& file)
{
    const auto architecture = file.text("general.architecture");
    if (!architecture)
        return Error{ErrorCode::InvalidInput, "the key 'general.architecture' is missing", "",
                     "Fetch the file again, or choose another one"};
    if (file.text("general.type").value_or("model") != "model")
        return unsupported("the file is an adapter or a vocabulary, not a model",
                           "Choose the model's own file");
    if (file.integer("split.count").value_or(1) > 1)
        return unsupported("the file is one of several parts of a model",
                           "Merge the parts into one file first");
    const auto stated = file.text(kGgufModelType);
    for (const auto& family : kFamilies) {
        if (family.architecture == *architecture && family.family == stated)
            return &family;
    }
    for (const auto& family : kFamilies) {
        if (family.architecture == *architecture && holds(file, family))
            return &family;
    }
    std::string known;
    for (const auto& family : kFamilies) {
        if (known.find(fmt::format("'{}'", family.architecture)) == std::string::npos)
            known += fmt::format("{}'{}'", known.empty() ? "" : ", ", family.architecture);
    }
    return unsupported(fmt::format("the architecture '{}' is not known here; known are {}",
                                   quotable(*architecture, 60), known),
                       "Choose a model of a known family");
}

} // namespace fettle::model
