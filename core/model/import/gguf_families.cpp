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

constexpr const char *kSilu = "silu", *kGelu = "gelu_pytorch_tanh";

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

/// Factors, caps and positions that only some families know.
Result<void> checkNumbers(const ModelConfig& config, const GgufFamily& family)
{
    const bool granite = family.family == "granite", gemma = family.family.starts_with("gemma");
    const bool caps = family.family == "gemma2";
    if (!granite && (config.residualScale != 1 || config.logitScale != 1 ||
                     (config.embeddingScale != 1 && !gemma)))
        return cannotSay(config, "factors on embeddings or logits");
    if ((config.attentionSoftcap != 0 && !caps) ||
        (config.logitSoftcap != 0 && !caps && family.family != "gemma3_text"))
        return cannotSay(config, "soft caps");
    const double usual = 1 / std::sqrt(static_cast<double>(config.headDim));
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
    return {};
}

/// The files name no activation: each architecture has one. Both forms of GELU count as one, with a
/// note.
Result<void> checkActivation(const ModelConfig& config, const GgufFamily& family)
{
    const auto gelu = [](std::string_view name) { return name.starts_with("gelu"); };
    if (config.activation == family.activation ||
        (gelu(config.activation) && gelu(family.activation)))
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
            fmt::format("models of the family '{}' are not written as GGUF files here",
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
    for (const auto& family : kFamilies) {
        if (family.architecture != *architecture)
            continue;
        if (family.family == "mixtral" && file.integer("llama.expert_count").value_or(0) == 0)
            continue;
        if (family.family == "mistral" &&
            file.integer("llama.attention.sliding_window").value_or(0) == 0)
            continue;
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
