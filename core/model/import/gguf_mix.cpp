#include "model/import/gguf_mix.h"

#include "base/text.h"
#include <algorithm>
#include <fmt/format.h>

namespace fettle::model {

using tensor::GgmlType;

namespace {

constexpr GgufKindInfo kKinds[] = {
    {GgufKind::F32, "F32", GgmlType::F32, 0, "every weight as it is"},
    {GgufKind::F16, "F16", GgmlType::F16, 1, "half precision"},
    {GgufKind::BF16, "BF16", GgmlType::BF16, 32, "half precision with the range of F32"},
    {GgufKind::Q8_0, "Q8_0", GgmlType::Q8_0, 7, "8 bits, hardly a difference"},
    {GgufKind::Q6_K, "Q6_K", GgmlType::Q6_K, 18, "6 bits, a small difference"},
    {GgufKind::Q5_K_M, "Q5_K_M", GgmlType::Q5_K, 17, "5 bits, more where it matters"},
    {GgufKind::Q5_1, "Q5_1", GgmlType::Q5_1, 9, "5 bits, for older programs"},
    {GgufKind::Q5_0, "Q5_0", GgmlType::Q5_0, 8, "5 bits, for older programs"},
    {GgufKind::Q4_K_M, "Q4_K_M", GgmlType::Q4_K, 15, "4 bits, more where it matters: usual"},
    {GgufKind::Q4_1, "Q4_1", GgmlType::Q4_1, 3, "4 bits, for older programs"},
    {GgufKind::Q4_0, "Q4_0", GgmlType::Q4_0, 2, "4 bits, for older programs"},
};

std::int64_t blockOf(GgmlType type)
{
    return static_cast<std::int64_t>(
        tensor::ggmlTypeInfo(static_cast<std::uint32_t>(type))->values);
}

/// The first layers, the last ones, and every third between: errors there weigh most.
bool deservesMore(std::int64_t layer, std::int64_t layers)
{
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/// Small tensors that stay in float32.
bool staysWhole(const GgufSlot& slot)
{
    return slot.shape.size() < 2 || !slot.name.ends_with("weight") ||
           slot.name.ends_with("_norm.weight") || slot.name == "position_embd.weight" ||
           slot.name == "token_types.weight" || slot.name.ends_with("attn_rel_b.weight") ||
           slot.name.ends_with("ffn_gate_inp.weight");
}

/// A type whose blocks the rows fill.
GgmlType fitting(GgmlType type, std::int64_t row)
{
    if (row % blockOf(type) == 0)
        return type;
    const GgmlType next = type == GgmlType::Q4_K   ? GgmlType::Q5_0
                          : type == GgmlType::Q5_K ? GgmlType::Q5_1
                          : type == GgmlType::Q6_K ? GgmlType::Q8_0
                                                   : type;
    return row % blockOf(next) == 0 ? next : GgmlType::F16;
}

/// The choice for one matrix of a quantised file, before the rows are looked at.
GgmlType chosen(GgufKind kind, const GgufSlot& slot, const ModelConfig& config)
{
    const GgmlType usual = infoOf(kind).type;
    const bool mixed = kind == GgufKind::Q4_K_M || kind == GgufKind::Q5_K_M;
    const bool head =
        slot.name == "output.weight" || (config.tieEmbeddings && slot.name == "token_embd.weight");
    if (head) {
        if (slot.shape.back() % blockOf(usual) != 0)
            return GgmlType::Q8_0;
        return usual == GgmlType::Q8_0 ? usual : GgmlType::Q6_K;
    }
    const auto is = [&](const char* part) { return slot.name.find(part) != std::string::npos; };
    const bool eight = config.experts.count == 8;
    const bool more = mixed && deservesMore(slot.layer, config.layers);
    if (is(".attn_v.weight") || is(".attn_qkv.weight")) {
        if (eight)
            return GgmlType::Q8_0;
        if (more)
            return GgmlType::Q6_K;
        const bool seventy = config.layers == 80 && config.heads != config.kvHeads;
        return seventy && usual == GgmlType::Q4_K ? GgmlType::Q5_K : usual;
    }
    if (is(".attn_k.weight") && eight)
        return GgmlType::Q8_0;
    if (is(".attn_output.weight") && eight && kind == GgufKind::Q4_K_M)
        return GgmlType::Q5_K;
    if (is(".ffn_down") && more)
        return GgmlType::Q6_K;
    return usual;
}

} // namespace

std::span<const GgufKindInfo> ggufKinds() { return kKinds; }

const GgufKindInfo& infoOf(GgufKind kind)
{
    return *std::ranges::find(kKinds, kind, &GgufKindInfo::kind);
}

Result<GgufKind> ggufKindFrom(const std::string& name)
{
    std::string known;
    for (const auto& info : kKinds) {
        if (info.name == name)
            return info.kind;
        known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
    }
    return Error{ErrorCode::InvalidInput,
                 fmt::format("there is no form '{}' of GGUF files here", quotable(name, 40)),
                 "type", "Choose one of " + known};
}

std::vector<GgmlType> ggufTypes(GgufKind kind, const std::vector<GgufSlot>& slots,
                                const ModelConfig& config)
{
    const bool plain = blockOf(infoOf(kind).type) == 1;
    std::vector<GgmlType> types;
    for (const auto& slot : slots) {
        if (staysWhole(slot))
            types.push_back(GgmlType::F32);
        else if (plain)
            types.push_back(infoOf(kind).type);
        else
            types.push_back(fitting(chosen(kind, slot, config), slot.shape.back()));
    }
    return types;
}

} // namespace fettle::model
