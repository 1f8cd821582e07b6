#pragma once

#include "base/atomic_file.h"
#include "base/json.h"
#include "base/rng.h"
#include "tensor/files/safetensors.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fettle::bench {

/// A decoder of the llama family with random weights: 6 layers of 384, 8,192 word pieces, 13.8
/// million numbers in the blocks and the head. Speed and memory of a model depend on its shape
/// alone.
inline Result<void> writeToyModel(const std::filesystem::path& folder)
{
    constexpr std::int64_t d = 384, f = 1024, layers = 6, vocab = 8192, kv = 192;
    const Json config = {{"architectures", {"LlamaForCausalLM"}},
                         {"model_type", "llama"},
                         {"hidden_size", d},
                         {"intermediate_size", f},
                         {"num_hidden_layers", layers},
                         {"num_attention_heads", 6},
                         {"num_key_value_heads", 3},
                         {"head_dim", 64},
                         {"vocab_size", vocab},
                         {"max_position_embeddings", 2048},
                         {"rms_norm_eps", 1e-5},
                         {"rope_theta", 10000.0},
                         {"hidden_act", "silu"},
                         {"tie_word_embeddings", false},
                         {"bos_token_id", 0},
                         {"eos_token_id", 1}};
    std::vector<tensor::TensorPlan> plan;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
        plan.push_back({name + ".weight", tensor::DType::F32, std::move(shape)});
    };
    add("model.embed_tokens", {vocab, d});
    add("model.norm", {d});
    add("lm_head", {vocab, d});
    for (std::int64_t i = 0; i < layers; ++i) {
        const auto at = "model.layers." + std::to_string(i) + ".";
        const std::pair<const char*, std::vector<std::int64_t>> parts[] = {
            {"self_attn.q_proj", {d, d}},     {"self_attn.k_proj", {kv, d}},
            {"self_attn.v_proj", {kv, d}},    {"self_attn.o_proj", {d, d}},
            {"mlp.gate_proj", {f, d}},        {"mlp.up_proj", {f, d}},
            {"mlp.down_proj", {d, f}},        {"input_layernorm", {d}},
            {"post_attention_layernorm", {d}}};
        for (const auto& [name, shape] : parts)
            add(at + name, shape);
    }
    std::filesystem::create_directories(folder);
    if (auto written = writeFileAtomically(folder / "config.json", config.dump(1)); !written)
        return written;
    tensor::SafetensorsWriter file(folder / "model.safetensors", plan);
    if (auto opened = file.open(); !opened)
        return opened;
    const Rng rng(3, "toy model");
    std::uint64_t tensorIndex = 0;
    for (const auto& each : file.order()) {
        std::uint64_t count = 1;
        for (const auto size : each.shape)
            count *= static_cast<std::uint64_t>(size);
        std::vector<float> values(count, 1.0F); // norms
        if (each.shape.size() == 2) {
            for (std::uint64_t i = 0; i < count; ++i) // uniform with a deviation of 0.02
                values[i] =
                    (static_cast<float>(rng.bits(tensorIndex, i) >> 8) * 0x1p-24F - 0.5F) * 0.0693F;
        }
        ++tensorIndex;
        if (auto written = file.write(values.data(), count * sizeof(float)); !written)
            return written;
    }
    return file.commit();
}

} // namespace fettle::bench
