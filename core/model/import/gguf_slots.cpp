#include "model/import/gguf_slots.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

namespace fettle::model {

namespace {

using Part = std::string WeightNames::*;

constexpr std::pair<Part, const char*> kWhole[] = {
    {&WeightNames::embedding, "token_embd"},   {&WeightNames::positions, "position_embd"},
    {&WeightNames::tokenTypes, "token_types"}, {&WeightNames::embeddingNorm, "token_embd_norm"},
    {&WeightNames::finalNorm, "output_norm"},  {&WeightNames::head, "output"},
};
constexpr std::pair<Part, const char*> kInLayer[] = {
    {&WeightNames::attentionNorm, "attn_norm"},
    {&WeightNames::mlpNorm, "ffn_norm"},
    {&WeightNames::afterAttention, "post_attention_norm"},
    {&WeightNames::afterMlp, "post_ffw_norm"},
    {&WeightNames::q, "attn_q"},
    {&WeightNames::k, "attn_k"},
    {&WeightNames::v, "attn_v"},
    {&WeightNames::qkv, "attn_qkv"},
    {&WeightNames::qNorm, "attn_q_norm"},
    {&WeightNames::kNorm, "attn_k_norm"},
    {&WeightNames::o, "attn_output"},
    {&WeightNames::gate, "ffn_gate"},
    {&WeightNames::up, "ffn_up"},
    {&WeightNames::gateUp, "ffn_up"},
    {&WeightNames::down, "ffn_down"},
    {&WeightNames::router, "ffn_gate_inp"},
    {&WeightNames::relativeBias, "attn_rel_b"},
    {&WeightNames::crossNorm, "cross_attn_norm"},
    {&WeightNames::crossQ, "cross_attn_q"},
    {&WeightNames::crossK, "cross_attn_k"},
    {&WeightNames::crossV, "cross_attn_v"},
    {&WeightNames::crossO, "cross_attn_o"},
};
/// What the files of another kind than decoders call otherwise.
struct OtherName
{
    ModelKind kind;
    Part part;
    const char* name;
};
constexpr OtherName kOtherNames[] = {
    {ModelKind::Encoder, &WeightNames::afterAttention, "attn_output_norm"},
    {ModelKind::Encoder, &WeightNames::afterMlp, "layer_output_norm"},
    {ModelKind::EncoderDecoder, &WeightNames::o, "attn_o"},
};
constexpr std::pair<Part, const char*> kExperts[] = {
    {&WeightNames::expertGate, "ffn_gate_exps"},
    {&WeightNames::expertUp, "ffn_up_exps"},
    {&WeightNames::expertDown, "ffn_down_exps"},
};

/// Where a published weight goes, without ".weight" and ".bias".
struct Place
{
    std::string name;
    std::int64_t layer = -1;
    Part part;
};

/// What makes a GGUF tensor of weights: one pass over the weights that the configuration asks for.
class Slots
{
public:
    Slots(const ModelConfig& config, const GgufFamily& family)
        : m_config(config)
        , m_family(family)
    {
        for (const auto& [part, name] : kWhole)
            m_places[config.names.*part] = {name, -1, part};
        const bool stacks = config.kind == ModelKind::EncoderDecoder;
        placeStack(config.names, config.layers, stacks ? "enc." : "");
        if (stacks)
            placeStack(config.writer.names, config.writer.layers, "dec.");
    }

    std::vector<GgufSlot> all()
    {
        for (const auto& weight : expectedWeights(ggufPart(m_config)))
            add(weight);
        if (m_config.tieEmbeddings && m_family.head == GgufHead::Required)
            m_slots.push_back({"output.weight",
                               {m_config.names.embedding + ".weight"},
                               {m_config.vocab, m_config.hidden}});
        return std::move(m_slots);
    }

private:
    const char* nameOf(Part part, const char* usual) const
    {
        for (const auto& other : kOtherNames) {
            if (other.kind == m_config.kind && other.part == part)
                return other.name;
        }
        return usual;
    }

    void placeStack(const WeightNames& names, std::int64_t layers, const std::string& stack)
    {
        if (!stack.empty())
            m_places[names.finalNorm] = {stack + "output_norm", -1, &WeightNames::finalNorm};
        for (std::int64_t i = 0; i < layers; ++i)
            placeLayer(names, i, stack);
    }

    void placeLayer(const WeightNames& names, std::int64_t number, const std::string& stack)
    {
        for (const auto& [part, name] : kInLayer) {
            if (!(names.*part).empty())
                m_places[names.inLayer(number, names.*part)] = {
                    fmt::format("{}blk.{}.{}", stack, number, nameOf(part, name)), number, part};
        }
        for (const auto& [part, name] : kExperts) {
            for (std::int64_t e = 0; e < m_config.experts.count; ++e)
                m_places[names.inLayer(number, fmt::format(fmt::runtime(names.*part), e))] = {
                    fmt::format("blk.{}.{}", number, name), number, part};
        }
    }

    void add(const WeightShape& weight)
    {
        const auto dot = weight.name.rfind('.');
        const auto& place = m_places.at(weight.name.substr(0, dot));
        GgufSlot slot{place.name + weight.name.substr(dot), {weight.name}, weight.shape};
        slot.layer = place.layer;
        const bool expert = std::ranges::any_of(
            kExperts, [&](const auto& each) { return each.first == place.part; });
        if (expert && !m_slots.empty()) {
            if (auto* open = openExperts(slot.name)) {
                open->published.push_back(weight.name);
                ++open->shape[0];
                return;
            }
        }
        if (expert)
            slot.shape.insert(slot.shape.begin(), 1);
        arrangeRows(slot, weight, place.part);
        adjustValues(slot, place.part);
        m_slots.push_back(std::move(slot));
    }

    /// Experts come one after the other, gate, up and down of each.
    GgufSlot* openExperts(const std::string& name)
    {
        const auto last = std::find_if(m_slots.rbegin(), m_slots.rend(),
                                       [&](const GgufSlot& slot) { return slot.name == name; });
        return last == m_slots.rend() ? nullptr : &*last;
    }

    void arrangeRows(GgufSlot& slot, const WeightShape& weight, Part part) const
    {
        if (part == &WeightNames::qkv && m_config.qkv == QkvForm::PerHead) {
            slot.rows = GgufRows::HeadsApart;
            slot.heads = m_config.heads;
        } else if (m_family.rotaryRows && (part == &WeightNames::q || part == &WeightNames::k)) {
            slot.rows = GgufRows::RotaryPairs;
            slot.heads = part == &WeightNames::q ? m_config.heads : m_config.kvHeads;
        } else if (m_config.transposedWeights && weight.site) {
            slot.rows = GgufRows::Transposed;
            std::swap(slot.shape[0], slot.shape[1]);
        } else if (part == &WeightNames::positions) {
            slot.shape[0] -= m_config.encoder.firstPosition;
            slot.skipped = static_cast<std::uint64_t>(m_config.encoder.firstPosition);
        }
    }

    /// Norms that multiply by 1 + weight are stored with the 1; a scale of the scores that no key
    /// can say goes into the queries or the norm behind them, one of the states before the head of
    /// an encoder-decoder into the norm before it.
    void adjustValues(GgufSlot& slot, Part part) const
    {
        const bool norm = slot.name.ends_with("_norm.weight");
        if (norm && m_config.norm == NormKind::RmsPlusOne)
            slot.added = 1;
        if (slot.name == kGgufScaledNorm)
            slot.factor = static_cast<float>(m_config.logitScale);
        if (!m_family.windows) // the families whose scale is their own
            return;
        const bool own = m_config.headNorm == HeadNorm::None ? part == &WeightNames::q
                                                             : part == &WeightNames::qNorm;
        const auto width = static_cast<double>(
            ggufScoreWidth(m_family.architecture, m_config.layers, m_config.hidden, m_config.heads,
                           m_config.headDim));
        if (own)
            slot.factor = static_cast<float>(m_config.scaleOfLayer(slot.layer) * std::sqrt(width));
        if (std::abs(slot.factor - 1) < 1e-6f)
            slot.factor = 1;
    }

    const ModelConfig& m_config;
    const GgufFamily& m_family;
    std::map<std::string, Place> m_places;
    std::vector<GgufSlot> m_slots;
};

} // namespace

std::uint64_t GgufSlot::rowCount() const
{
    return static_cast<std::uint64_t>(shape.size() < 2 ? shape[0] : shape[shape.size() - 2]);
}

std::uint64_t GgufSlot::columns() const
{
    return static_cast<std::uint64_t>(shape.size() < 2 ? 1 : shape.back());
}

std::uint64_t GgufSlot::publishedRow(std::uint64_t stored) const
{
    const auto count = static_cast<std::uint64_t>(heads);
    if (rows == GgufRows::RotaryPairs) {
        const std::uint64_t dim = rowCount() / count, in = stored % dim;
        return stored - in + in % 2 * (dim / 2) + in / 2;
    }
    if (rows == GgufRows::HeadsApart) {
        const std::uint64_t dim = rowCount() / (3 * count), part = stored / (count * dim);
        const std::uint64_t head = stored % (count * dim) / dim;
        return (head * 3 + part) * dim + stored % dim;
    }
    return stored;
}

std::uint64_t GgufSlot::storedRow(std::uint64_t row) const
{
    const auto count = static_cast<std::uint64_t>(heads);
    if (rows == GgufRows::RotaryPairs) {
        const std::uint64_t dim = rowCount() / count, in = row % dim;
        return row - in + in % (dim / 2) * 2 + in / (dim / 2);
    }
    if (rows == GgufRows::HeadsApart) {
        const std::uint64_t dim = rowCount() / (3 * count), head = row / (3 * dim);
        const std::uint64_t part = row % (3 * dim) / dim;
        return (part * count + head) * dim + row % dim;
    }
    return row;
}

std::vector<GgufSlot> ggufSlots(const ModelConfig& config, const GgufFamily& family)
{
    return Slots(config, family).all();
}

} // namespace fettle::model
