#include "model/import/gguf_rope.h"

#include "base/text.h"
#include "model/import/rotary.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

using tensor::GgufFile;

namespace {

/// The format has no keys for these four; other programs use the tensor alone.
constexpr const char *kFactor = "factor", *kLow = "low_freq_factor", *kHigh = "high_freq_factor",
                     *kOriginal = "original_context_length";

std::string ownKey(const std::string& architecture, const char* name)
{
    return fmt::format("{}.rope.scaling.llama3.{}", architecture, name);
}

Error unknownScaling()
{
    return {ErrorCode::Unsupported,
            "the rotary scaling in 'rope_freqs.weight' has no published form", "",
            "Import the model from its Hugging Face folder instead"};
}

/// What each frequency is divided by.
std::vector<float> llama3Divisors(const RopeScaling& rope, std::int64_t dim, double theta)
{
    std::vector<float> divisors;
    for (std::int64_t i = 0; i < dim; i += 2) {
        const double wave =
            2 * M_PI * std::pow(theta, static_cast<double>(i) / static_cast<double>(dim));
        const double s = (rope.originalMaxPositions / wave - rope.lowFreqFactor) /
                         (rope.highFreqFactor - rope.lowFreqFactor);
        const double divisor = wave < rope.originalMaxPositions / rope.highFreqFactor ? 1
                               : wave > rope.originalMaxPositions / rope.lowFreqFactor
                                   ? rope.factor
                                   : 1 / ((1 - s) / rope.factor + s);
        divisors.push_back(static_cast<float>(divisor));
    }
    return divisors;
}

/// The settings of the "llama3" scaling that give the divisors stored in rope_freqs.weight: those
/// that the file names, or those of every published checkpoint.
Result<Json> llama3From(const GgufFile& file, const std::string& architecture,
                        const tensor::GgufTensor& tensor, std::int64_t dim, double theta)
{
    const auto pairs = static_cast<std::size_t>(dim / 2);
    std::vector<float> stored(pairs);
    if (tensor.values() != pairs || pairs == 0 ||
        !tensor::dequantise(tensor.type, tensor.bytes, stored.data(), pairs))
        return unknownScaling();
    const auto named = [&](const char* name, double fallback) {
        return shortestOf(file.real(ownKey(architecture, name)).value_or(fallback));
    };
    RopeScaling rope;
    rope.factor = named(kFactor, *std::max_element(stored.begin(), stored.end()));
    rope.lowFreqFactor = named(kLow, 1);
    rope.highFreqFactor = named(kHigh, 4);
    rope.originalMaxPositions = named(kOriginal, 8192);
    if (!(rope.factor >= 1 && rope.factor < 1e6 && rope.lowFreqFactor > 0 &&
          rope.highFreqFactor > rope.lowFreqFactor && rope.originalMaxPositions >= 1))
        return unknownScaling();
    const auto expected = llama3Divisors(rope, dim, theta);
    for (std::size_t j = 0; j < pairs; ++j) {
        if (!(std::abs(stored[j] - expected[j]) <= 1e-4f * expected[j]))
            return unknownScaling();
    }
    return Json{
        {"rope_type", "llama3"},
        {"factor", rope.factor},
        {"low_freq_factor", rope.lowFreqFactor},
        {"high_freq_factor", rope.highFreqFactor},
        {"original_max_position_embeddings", static_cast<std::int64_t>(rope.originalMaxPositions)}};
}

/// Factors as config.json lists them.
Result<Json> longFactors(const GgufFile& file, const char* name, std::int64_t dim)
{
    const auto pairs = static_cast<std::size_t>(dim / 2);
    const auto* tensor = file.tensor(name);
    std::vector<float> stored(pairs);
    if (!tensor || tensor->values() != pairs ||
        !tensor::dequantise(tensor->type, tensor->bytes, stored.data(), pairs))
        return Error{ErrorCode::InvalidInput,
                     fmt::format("the weight '{}' is missing or does not fit", name), "",
                     "Fetch the file again from its source"};
    Json list = Json::array();
    for (const float value : stored)
        list.push_back(shortestOf(value));
    return list;
}

Result<Json> longropeFrom(const GgufFile& file, const std::string& architecture, std::int64_t dim)
{
    auto shorts = longFactors(file, "rope_factors_short.weight", dim);
    if (!shorts)
        return shorts.error();
    auto longs = longFactors(file, "rope_factors_long.weight", dim);
    if (!longs)
        return longs.error();
    Json rope{{"rope_type", "longrope"}, {"short_factor", *shorts}, {"long_factor", *longs}};
    if (const auto original = file.integer(architecture + ".rope.scaling.original_context_length"))
        rope["original_max_position_embeddings"] = *original;
    if (const auto factor = file.real(architecture + ".rope.scaling.attn_factor"))
        rope["attention_factor"] = shortestOf(*factor);
    return rope;
}

Json yarnFrom(const GgufFile& file, const std::string& scaling, double factor)
{
    Json yarn{{"rope_type", "yarn"}, {"factor", factor}};
    if (const auto original = file.integer(scaling + "original_context_length"))
        yarn["original_max_position_embeddings"] = *original;
    for (const auto& [key, name] :
         {std::pair{"yarn_beta_fast", "beta_fast"}, std::pair{"yarn_beta_slow", "beta_slow"}}) {
        if (const auto value = file.real(scaling + key))
            yarn[name] = shortestOf(*value);
    }
    if (const auto own = file.real(scaling + "attn_factor"); own && factor > 1)
        yarn["attention_factor"] = shortestOf(*own * (0.1 * std::log(factor) + 1));
    return yarn;
}

/// A factor on cosine and sine beside that of the scaling's own formula, which readers apply.
double ownMultiplier(const ModelConfig& config)
{
    const double formula = config.rope.factor > 1 ? 0.1 * std::log(config.rope.factor) + 1 : 1;
    return rotaryFor(config, false, 1).multiplier / formula;
}

} // namespace

double shortestOf(double fromFloat)
{
    const std::string text = fmt::format("{}", static_cast<float>(fromFloat));
    double value = fromFloat;
    std::from_chars(text.data(), text.data() + text.size(), value); // independent of the locale
    return value;
}

std::vector<GgufComputed> ropeToGguf(const ModelConfig& config, const std::string& architecture,
                                     tensor::GgufKeys& keys)
{
    const auto& rope = config.rope;
    const std::string scaling = architecture + ".rope.scaling.";
    const auto original = static_cast<std::uint64_t>(
        rope.originalMaxPositions > 0 ? rope.originalMaxPositions
                                      : static_cast<double>(config.maxPositions));
    if (rope.type == "linear" || rope.type == "yarn") {
        keys.text(scaling + "type", rope.type);
        keys.f32(scaling + "factor", rope.factor);
    }
    if (rope.type == "yarn") {
        keys.u32(scaling + "original_context_length", original);
        keys.f32(scaling + "yarn_beta_fast", rope.betaFast);
        keys.f32(scaling + "yarn_beta_slow", rope.betaSlow);
        if (std::abs(ownMultiplier(config) - 1) > 1e-6)
            keys.f32(scaling + "attn_factor", ownMultiplier(config));
    } else if (rope.type == "longrope") {
        if (architecture != "phi3") // which knows no other form
            keys.text(scaling + "type", rope.type);
        keys.u32(scaling + "original_context_length", original);
        keys.f32(scaling + "attn_factor", rotaryFor(config, false, 1).multiplier);
        const auto floats = [](const std::vector<double>& values) {
            return std::vector<float>(values.begin(), values.end());
        };
        return {{"rope_factors_long.weight", floats(rope.longFactors)},
                {"rope_factors_short.weight", floats(rope.shortFactors)}};
    } else if (rope.type == "llama3") {
        keys.f32(ownKey(architecture, kFactor), rope.factor);
        keys.f32(ownKey(architecture, kLow), rope.lowFreqFactor);
        keys.f32(ownKey(architecture, kHigh), rope.highFreqFactor);
        keys.f32(ownKey(architecture, kOriginal), rope.originalMaxPositions);
        return {{"rope_freqs.weight", llama3Divisors(rope, config.rotaryDim, config.ropeTheta)}};
    }
    return {};
}

Result<Json> ropeFromGguf(const GgufFile& file, const std::string& architecture,
                          std::int64_t rotaryDim, double theta)
{
    if (const auto* divisors = file.tensor("rope_freqs.weight"))
        return llama3From(file, architecture, *divisors, rotaryDim, theta);
    if (file.tensor("rope_factors_short.weight"))
        return longropeFrom(file, architecture, rotaryDim);
    const std::string scaling = architecture + ".rope.scaling.";
    const std::string type = file.text(scaling + "type").value_or("none");
    const double factor =
        shortestOf(file.real(scaling + "factor")
                       .value_or(file.real(architecture + ".rope.scale_linear").value_or(1)));
    if (type == "yarn")
        return yarnFrom(file, scaling, factor);
    if (type != "none" && type != "linear")
        return Error{ErrorCode::Unsupported,
                     fmt::format("the rotary scaling '{}' is not supported in GGUF files",
                                 quotable(type, 60)),
                     "", "Import the model from its Hugging Face folder instead"};
    if (factor == 1 || type == "none")
        return Json{{"rope_type", "default"}};
    return Json{{"rope_type", "linear"}, {"factor", factor}};
}

} // namespace fettle::model
