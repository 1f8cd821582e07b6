#include "model/import/gguf_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

using tensor::GgufFile;

namespace {

Error invalid(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "",
            "Fetch the file again, or choose another one"};
}
Error unsupported(std::string what, std::string remedy)
{
    return {ErrorCode::Unsupported, std::move(what), "", std::move(remedy)};
}

/// The double with the shortest text of a float32: 1e-05 rather than 9.999999747378752e-06.
double shortest(double fromFloat)
{
    const std::string text = fmt::format("{}", static_cast<float>(fromFloat));
    double value = fromFloat;
    std::from_chars(text.data(), text.data() + text.size(), value); // independent of the locale
    return value;
}

Result<void> checkKind(const GgufFile& file)
{
    const auto architecture = file.text("general.architecture");
    if (!architecture)
        return invalid("the key 'general.architecture' is missing");
    if (file.text("general.type").value_or("model") != "model")
        return unsupported("the file is an adapter or a vocabulary, not a model",
                           "Choose the model's own file");
    if (*architecture != "llama")
        return unsupported(
            fmt::format("the architecture '{}' is not known here; the nearest known one is 'llama'",
                        architecture->substr(0, 60)),
            "Choose a model of the llama family, such as SmolLM2, Llama or TinyLlama");
    if (file.integer("split.count").value_or(1) > 1)
        return unsupported("the file is one of several parts of a model",
                           "Merge the parts into one file first");
    if (file.integer("llama.expert_count").value_or(0) > 0)
        return unsupported("the model is a mixture of experts",
                           "Choose a dense model of the llama family");
    return {};
}

/// Whole numbers of the llama architecture; all at once, so that one sentence names the missing
/// key.
struct Numbers
{
    std::int64_t layers, context, hidden, inner, heads, kvHeads, headDim;
};

Result<Numbers> readNumbers(const GgufFile& file)
{
    Numbers numbers{};
    const std::pair<const char*, std::int64_t Numbers::*> kRequired[] = {
        {"llama.block_count", &Numbers::layers},
        {"llama.context_length", &Numbers::context},
        {"llama.embedding_length", &Numbers::hidden},
        {"llama.feed_forward_length", &Numbers::inner},
        {"llama.attention.head_count", &Numbers::heads},
    };
    for (const auto& [key, member] : kRequired) {
        const auto value = file.integer(key);
        if (!value || *value < 1)
            return invalid(
                fmt::format("the key '{}' is missing or not a whole number above 0", key));
        numbers.*member = *value;
    }
    const auto optional = [&](const char* key, std::int64_t fallback) {
        return file.has(key) ? file.integer(key).value_or(-1) : fallback;
    };
    numbers.kvHeads = optional("llama.attention.head_count_kv", numbers.heads);
    numbers.headDim = optional("llama.attention.key_length", numbers.hidden / numbers.heads);
    const auto valueLength = optional("llama.attention.value_length", numbers.headDim);
    const auto rotary = optional("llama.rope.dimension_count", numbers.headDim);
    if (numbers.kvHeads < 1 || numbers.headDim < 1)
        return invalid("the numbers of key heads or their size are not whole numbers above 0");
    if (valueLength != numbers.headDim || rotary != numbers.headDim)
        return unsupported(fmt::format("the head sizes differ: keys {}, values {}, rotary part {}",
                                       numbers.headDim, valueLength, rotary),
                           "Choose another model of the llama family");
    return numbers;
}

/// The settings of the "llama3" scaling that give the divisors stored in rope_freqs.weight.
Result<Json> llama3Scaling(const tensor::GgufTensor& divisors, std::int64_t headDim, double theta)
{
    constexpr double kLow = 1, kHigh = 4, kOriginal = 8192; // of every published checkpoint
    const auto pairs = static_cast<std::size_t>(headDim / 2);
    const auto other =
        unsupported("the rotary scaling in 'rope_freqs.weight' has no published form",
                    "Import the model from its Hugging Face folder instead");
    std::vector<float> stored(pairs);
    if (divisors.values() != pairs ||
        !tensor::dequantise(divisors.type, divisors.bytes, stored.data(), pairs))
        return other;
    const double factor = shortest(*std::max_element(stored.begin(), stored.end()));
    if (!(factor >= 1 && factor < 1e6))
        return other;
    for (std::size_t j = 0; j < pairs; ++j) {
        const double frequency =
            std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(headDim));
        const double wave = 2 * M_PI / frequency;
        const double s = (kOriginal / wave - kLow) / (kHigh - kLow);
        const double expected = wave < kOriginal / kHigh  ? 1
                                : wave > kOriginal / kLow ? factor
                                                          : 1 / ((1 - s) / factor + s);
        if (!(std::abs(stored[j] - expected) <= 1e-4 * expected))
            return other;
    }
    return Json{{"rope_type", "llama3"},
                {"factor", factor},
                {"low_freq_factor", kLow},
                {"high_freq_factor", kHigh},
                {"original_max_position_embeddings", static_cast<std::int64_t>(kOriginal)}};
}

/// Rotary settings as one object, without theta.
Result<Json> ropeScaling(const GgufFile& file, std::int64_t headDim, double theta)
{
    if (const auto* divisors = file.tensor("rope_freqs.weight"))
        return llama3Scaling(*divisors, headDim, theta);
    const std::string type = file.text("llama.rope.scaling.type").value_or("none");
    const double factor = shortest(file.real("llama.rope.scaling.factor")
                                       .value_or(file.real("llama.rope.scale_linear").value_or(1)));
    if (type == "yarn") {
        Json yarn{{"rope_type", "yarn"}, {"factor", factor}};
        if (const auto original = file.integer("llama.rope.scaling.original_context_length"))
            yarn["original_max_position_embeddings"] = *original;
        for (const auto& [key, name] :
             {std::pair{"llama.rope.scaling.yarn_beta_fast", "beta_fast"},
              std::pair{"llama.rope.scaling.yarn_beta_slow", "beta_slow"}}) {
            if (const auto value = file.real(key))
                yarn[name] = shortest(*value);
        }
        return yarn;
    }
    if (type != "none" && type != "linear")
        return unsupported(fmt::format("the rotary scaling '{}' is not supported in GGUF files",
                                       type.substr(0, 60)),
                           "Import the model from its Hugging Face folder instead");
    if (factor == 1 || type == "none")
        return Json{{"rope_type", "default"}};
    return Json{{"rope_type", "linear"}, {"factor", factor}};
}

std::optional<std::int64_t> tokenId(const GgufFile& file, const char* name)
{
    return file.integer(fmt::format("tokenizer.ggml.{}_token_id", name));
}

/// One id as number, several as list, none as null.
Json endIds(const GgufFile& file)
{
    std::vector<std::int64_t> ids;
    for (const char* name : {"eos", "eot", "eom"}) {
        const auto id = tokenId(file, name);
        if (id && std::find(ids.begin(), ids.end(), *id) == ids.end())
            ids.push_back(*id);
    }
    return ids.empty() ? Json() : ids.size() == 1 ? Json(ids[0]) : Json(ids);
}

void addTokenIds(const GgufFile& file, Json& config)
{
    config["eos_token_id"] = endIds(file);
    for (const auto& [key, name] :
         {std::pair{"bos_token_id", "bos"}, std::pair{"pad_token_id", "padding"}}) {
        const auto id = tokenId(file, name);
        config[key] = id ? Json(*id) : Json();
    }
}

} // namespace

Result<Json> configFromGguf(const GgufFile& file)
{
    if (auto kind = checkKind(file); !kind)
        return kind.error();
    const auto numbers = readNumbers(file);
    if (!numbers)
        return numbers.error();
    const auto epsilon = file.real("llama.attention.layer_norm_rms_epsilon");
    if (!epsilon)
        return invalid("the key 'llama.attention.layer_norm_rms_epsilon' is missing");
    const auto* embedding = file.tensor("token_embd.weight");
    if (!embedding || embedding->dims.size() != 2)
        return invalid("the weight 'token_embd.weight' is missing or not a table");
    const double theta = shortest(file.real("llama.rope.freq_base").value_or(10000));
    if (!(theta >= 1 && theta < 1e12))
        return invalid("the key 'llama.rope.freq_base' is not a number from 1 to 1e12");
    const auto scaling = ropeScaling(file, numbers->headDim, theta);
    if (!scaling)
        return scaling.error();

    Json config{{"architectures", {"LlamaForCausalLM"}},
                {"model_type", "llama"},
                {"vocab_size", embedding->dims[1]},
                {"hidden_size", numbers->hidden},
                {"intermediate_size", numbers->inner},
                {"num_hidden_layers", numbers->layers},
                {"num_attention_heads", numbers->heads},
                {"num_key_value_heads", numbers->kvHeads},
                {"head_dim", numbers->headDim},
                {"hidden_act", "silu"},
                {"max_position_embeddings", numbers->context},
                {"rms_norm_eps", shortest(*epsilon)},
                {"rope_theta", theta},
                {"attention_bias", file.tensor("blk.0.attn_q.bias") != nullptr},
                {"attention_dropout", 0.0},
                {"mlp_bias", file.tensor("blk.0.ffn_gate.bias") != nullptr},
                {"tie_word_embeddings", file.tensor("output.weight") == nullptr},
                {"initializer_range", 0.02},
                {"use_cache", true},
                {"dtype", "float32"},
                {"torch_dtype", "float32"}};
    config["rope_parameters"] = *scaling;
    config["rope_parameters"]["rope_theta"] = theta;
    if ((*scaling)["rope_type"] != "default")
        config["rope_scaling"] = *scaling;
    addTokenIds(file, config);
    return config;
}

Json generationFromGguf(const GgufFile& file)
{
    Json config{{"_from_model_config", true}};
    addTokenIds(file, config);
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
        if (config[key].is_null())
            config.erase(key);
    }
    return config;
}

std::string readmeFromGguf(const GgufFile& file)
{
    // One line each: whatever breaks a line or the form of the head is left out.
    const auto line = [&](const char* key) {
        std::string text = file.text(key).value_or("").substr(0, 200);
        std::erase_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
        return text;
    };
    const std::string licence = line("general.license");
    std::string out;
    if (!licence.empty())
        out += fmt::format("---\nlicense: {}\n---\n",
                           Json(licence).dump(-1, ' ', false, Json::error_handler_t::replace));
    const std::string name = line("general.name");
    out += fmt::format("# {}\n\nImported from a GGUF file; the weights are float32.\n\n",
                       name.empty() ? "Model" : name);
    for (const auto& [label, key] :
         {std::pair{"Author", "general.author"}, std::pair{"Organisation", "general.organization"},
          std::pair{"Version", "general.version"}, std::pair{"Fine-tune", "general.finetune"},
          std::pair{"Licence", "general.license"},
          std::pair{"Licence name", "general.license.name"},
          std::pair{"Licence text", "general.license.link"}, std::pair{"Origin", "general.url"},
          std::pair{"Source", "general.source.url"},
          std::pair{"Base model", "general.base_model.0.repo_url"},
          std::pair{"Description", "general.description"}}) {
        if (const std::string text = line(key); !text.empty())
            out += fmt::format("- {}: {}\n", label, text);
    }
    return out;
}

Result<text::GgufTokenizer> tokenizerFromGguf(const GgufFile& file)
{
    text::GgufTokenizer tokenizer;
    const auto model = file.text("tokenizer.ggml.model");
    auto tokens = file.texts("tokenizer.ggml.tokens");
    if (!model || !tokens)
        return Error{ErrorCode::NotFound, "the file has no tokenizer", file.path().string(),
                     "Choose a complete GGUF file of the model"};
    tokenizer.model = *model;
    tokenizer.pre = file.text("tokenizer.ggml.pre").value_or("");
    tokenizer.tokens = std::move(*tokens);
    if (const auto types = file.integers("tokenizer.ggml.token_type"))
        tokenizer.tokenTypes.assign(types->begin(), types->end());
    if (auto merges = file.texts("tokenizer.ggml.merges"))
        tokenizer.merges = std::move(*merges);
    tokenizer.bosId = tokenId(file, "bos");
    tokenizer.eosId = tokenId(file, "eos");
    tokenizer.unkId = tokenId(file, "unknown");
    tokenizer.padId = tokenId(file, "padding");
    tokenizer.addBos = file.flag("tokenizer.ggml.add_bos_token");
    tokenizer.addEos = file.flag("tokenizer.ggml.add_eos_token");
    tokenizer.chatTemplate = file.text("tokenizer.chat_template").value_or("");
    tokenizer.contextLength = file.integer("llama.context_length");
    return tokenizer;
}

} // namespace fettle::model
