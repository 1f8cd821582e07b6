#include "model/import/model_config.h"
#include "model/import/weight_bytes.h"

#include <fmt/format.h>

namespace fettle::model {

namespace {

/// Collects the weights of one model in the order of its layers.
class WeightList
{
public:
    explicit WeightList(const ModelConfig& config)
        : m_config(config)
        , m_names(config.names)
    {
    }

    void table(const std::string& name, std::int64_t rows, std::int64_t columns)
    {
        if (!name.empty())
            m_weights.push_back({name + ".weight", {rows, columns}});
    }
    void norm(const std::string& name, std::int64_t size)
    {
        if (name.empty())
            return;
        m_weights.push_back({name + ".weight", {size}});
        if (m_config.norm == NormKind::Layer)
            m_weights.push_back({name + ".bias", {size}});
    }
    void linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias,
                bool site = true)
    {
        std::vector<std::int64_t> shape{out, in};
        if (m_config.transposedWeights)
            std::swap(shape[0], shape[1]);
        m_weights.push_back({name + ".weight", shape, site});
        if (bias)
            m_weights.push_back({name + ".bias", {out}});
    }
    void bias(const std::string& name, std::int64_t size)
    {
        m_weights.push_back({name + ".bias", {size}});
    }
    void stack(const WeightNames& names, std::int64_t layers)
    {
        m_names = names;
        for (std::int64_t number = 0; number < layers; ++number)
            layer(number);
        norm(m_names.finalNorm, m_config.hidden);
    }
    /// What an encoder has behind its layers.
    void encoderHeads()
    {
        const auto& c = m_config;
        if (c.encoder.pooler)
            linear(c.names.pooler, c.hidden, c.hidden, true, false);
        if (c.encoder.languageHead) {
            linear(c.names.headDense, c.hidden, c.hidden, true, false);
            norm(c.names.headNorm, c.hidden);
            if (!c.tieEmbeddings)
                table(c.names.head, c.vocab, c.hidden);
            bias(c.names.headBias, c.vocab);
        }
        m_weights.insert(m_weights.end(), c.encoder.heads.begin(), c.encoder.heads.end());
    }
    std::vector<WeightShape> take() { return std::move(m_weights); }

private:
    void attention(std::int64_t number);
    void cross(std::int64_t number);
    void feedForward(std::int64_t number);
    void experts(std::int64_t number);
    void layer(std::int64_t number);
    std::string at(std::int64_t number, const std::string& part) const
    {
        return m_names.inLayer(number, part);
    }

    const ModelConfig& m_config;
    WeightNames m_names; ///< of the stack that is listed
    std::vector<WeightShape> m_weights;
};

void WeightList::attention(std::int64_t number)
{
    const auto& c = m_config;
    const auto queries = c.heads * c.headDim, keys = c.kvHeads * c.headDim;
    if (c.qkv == QkvForm::Apart) {
        linear(at(number, m_names.q), queries, c.hidden, c.attentionBias);
        linear(at(number, m_names.k), keys, c.hidden, c.attentionBias);
        linear(at(number, m_names.v), keys, c.hidden, c.attentionBias);
    } else {
        linear(at(number, m_names.qkv), queries + 2 * keys, c.hidden, c.attentionBias);
    }
    if (c.headNorm != HeadNorm::None) {
        const bool whole = c.headNorm == HeadNorm::Whole;
        norm(at(number, m_names.qNorm), whole ? queries : c.headDim);
        norm(at(number, m_names.kNorm), whole ? keys : c.headDim);
    }
    linear(at(number, m_names.o), c.hidden, queries, c.outputBias);
    if (number == 0 || c.relative.inEachLayer)
        table(at(number, m_names.relativeBias), c.relative.buckets, c.heads);
    if (number == 0)
        table(at(number, m_names.globalBias), c.relative.buckets, c.heads);
    norm(at(number, m_names.globalNorm), c.hidden);
}

void WeightList::cross(std::int64_t number)
{
    const auto& c = m_config;
    const auto inner = c.heads * c.headDim;
    norm(at(number, m_names.crossNorm), c.hidden);
    for (const auto& part : {m_names.crossQ, m_names.crossK, m_names.crossV})
        linear(at(number, part), inner, c.hidden, c.attentionBias);
    linear(at(number, m_names.crossO), c.hidden, inner, c.outputBias);
}

void WeightList::feedForward(std::int64_t number)
{
    const auto& c = m_config;
    if (!m_names.gateUp.empty()) {
        linear(at(number, m_names.gateUp), 2 * c.intermediate, c.hidden, c.mlpBias);
    } else {
        if (c.gated())
            linear(at(number, m_names.gate), c.intermediate, c.hidden, c.mlpBias);
        linear(at(number, m_names.up), c.intermediate, c.hidden, c.mlpBias);
    }
    linear(at(number, m_names.down), c.hidden, c.intermediate, c.mlpBias);
}

void WeightList::experts(std::int64_t number)
{
    const auto& c = m_config;
    linear(at(number, m_names.router), c.experts.count, c.hidden, false, false);
    for (std::int64_t e = 0; e < c.experts.count; ++e) {
        const auto named = [&](const std::string& part) {
            return at(number, fmt::format(fmt::runtime(part), e));
        };
        linear(named(m_names.expertGate), c.experts.intermediate, c.hidden, false, false);
        linear(named(m_names.expertUp), c.experts.intermediate, c.hidden, false, false);
        linear(named(m_names.expertDown), c.hidden, c.experts.intermediate, false, false);
    }
}

void WeightList::layer(std::int64_t number)
{
    norm(at(number, m_names.attentionNorm), m_config.hidden);
    attention(number);
    norm(at(number, m_names.afterAttention), m_config.hidden);
    if (!m_names.crossQ.empty())
        cross(number);
    norm(at(number, m_names.mlpNorm), m_config.hidden);
    const auto index = static_cast<std::size_t>(number);
    if (index < m_config.layer.size() && m_config.layer[index].sparse)
        experts(number);
    else
        feedForward(number);
    norm(at(number, m_names.afterMlp), m_config.hidden);
}

} // namespace

std::vector<WeightShape> expectedWeights(const ModelConfig& config)
{
    const auto& names = config.names;
    WeightList list(config);
    list.table(names.embedding, config.vocab, config.hidden);
    if (config.learnedPositions)
        list.table(names.positions, config.maxPositions + config.encoder.firstPosition,
                   config.hidden);
    if (config.encoder.tokenTypes > 0)
        list.table(names.tokenTypes, config.encoder.tokenTypes, config.hidden);
    list.norm(names.embeddingNorm, config.hidden);
    list.stack(names, config.layers);
    if (config.kind == ModelKind::EncoderDecoder)
        list.stack(config.writer.names, config.writer.layers);
    if (config.kind == ModelKind::Encoder) {
        list.encoderHeads();
        return list.take();
    }
    if (!config.tieEmbeddings)
        list.table(names.head, config.vocab, config.hidden);
    if (config.headBias)
        list.bias(names.head, config.vocab);
    return list.take();
}

std::int64_t ModelConfig::parameters() const
{
    std::int64_t total = 0;
    for (const auto& weight : expectedWeights(*this)) {
        std::int64_t size = 1;
        for (const auto dimension : weight.shape)
            size *= dimension;
        total += size;
    }
    return total;
}

bool mayBePacked(const ModelConfig& config, const WeightShape& weight)
{
    const auto path = weight.name.substr(0, weight.name.rfind('.'));
    return weight.shape.size() == 2 &&
           (weight.site || path == config.names.embedding || path == config.names.head);
}

std::uint64_t weightBytes(const ModelConfig& config, tensor::WeightKind weights)
{
    using tensor::WeightKind;
    std::uint64_t bytes = 0;
    for (const auto& weight : expectedWeights(config)) {
        const bool packed =
            mayBePacked(config, weight) && (weight.site || weights != WeightKind::Nf4);
        const bool turned = weight.site && config.transposedWeights; // rows are outputs when packed
        const auto rows = weight.shape[turned ? 1 : 0];
        const auto columns = weight.shape.size() < 2 ? 1 : weight.shape[turned ? 0 : 1];
        bytes += tensor::weightBytes(packed ? weights : WeightKind::Float32, rows, columns);
    }
    return bytes;
}

} // namespace fettle::model
