#include "model/load.h"

#include "base/text.h"
#include "model/import/weight_bytes.h"
#include "tensor/quantised_ops.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

#include <fmt/format.h>
#include <unistd.h>

namespace fettle::model {

using at::Tensor;
using tensor::WeightKind;

namespace {

/// Fills a model weight by weight; the first error stops it.
class Loader
{
public:
    Loader(const ModelFiles& files, c10::Device device, at::ScalarType dtype,
           WeightKind weights = WeightKind::Float32)
        : m_files(files)
        , m_device(device)
        , m_dtype(dtype)
        , m_weights(weights == WeightKind::Stored16 && (!device.is_cpu() || dtype != at::kFloat)
                        ? WeightKind::Float32
                        : weights)
    {
        for (const auto& file : files.weights().files()) {
            for (const auto& info : file.tensors())
                m_mappings.emplace(info.name, file.mapping());
        }
    }

    /// Undefined where the files have no such weight.
    Tensor take(const std::string& name) { return take(name, m_device, m_dtype); }
    Tensor take(const std::string& name, c10::Device device, at::ScalarType dtype)
    {
        const auto* info = m_files.find(name);
        if (m_error || !info)
            return {};
        const auto& mapping = m_mappings[info->name];
        auto tensor = tensor::tensorOver(*info, mapping);
        if (!tensor) {
            m_error = tensor.error();
            return {};
        }
        auto loaded = tensor->to(device, dtype);
        if (mapping && loaded.data_ptr() != tensor->data_ptr())
            mapping->forget(info->bytes); // converted: the file's pages would only take room
        return loaded;
    }
    Tensor table(const std::string& path)
    {
        return path.empty() ? Tensor() : take(path + ".weight");
    }
    /// A matrix of 16-bit values in the place where the files have it; null for any other, or
    /// when the model is to be held otherwise.
    tensor::QuantisedPtr asStored(const std::string& name) const;
    /// A site whose weight is frozen may be `packed`.
    void fill(LinearSite& site, const std::string& path, bool bias, std::int64_t layer = -1,
              bool packed = false);
    void fill(Norm& norm, const std::string& path);
    /// The layers of one stack and its last norm.
    void fill(std::vector<Block>& blocks, Norm& finalNorm, const WeightNames& names,
              std::int64_t layers);
    /// Embedding and head, after everything else.
    template<class Kind> Result<std::unique_ptr<Kind>> finish(std::unique_ptr<Kind> model);

private:
    void fill(Block& block, const WeightNames& names, std::int64_t layer);
    /// The pages of the named weight are not needed any more.
    void forget(const std::string& name);
    void fillForward(Block& block, const WeightNames& names, std::int64_t layer);

    const ModelFiles& m_files;
    c10::Device m_device;
    at::ScalarType m_dtype;
    WeightKind m_weights;
    std::map<std::string, std::shared_ptr<const MappedFile>>
        m_mappings; ///< by the name in the files
    std::optional<Error> m_error;
    std::uint64_t m_nextSite = 0;
};

tensor::QuantisedPtr Loader::asStored(const std::string& name) const
{
    const auto* info = m_weights == WeightKind::Stored16 ? m_files.find(name) : nullptr;
    const bool bfloat = info && info->dtype == tensor::DType::BF16;
    if (!info || (!bfloat && info->dtype != tensor::DType::F16) || info->shape.size() != 2)
        return nullptr;
    const auto* values = info->bytes.data();
    if (reinterpret_cast<std::uintptr_t>(values) % sizeof(std::uint16_t) != 0)
        return nullptr;
    return std::make_shared<tensor::SixteenBitMatrix>(
        bfloat ? tensor::SixteenBits::Bfloat16 : tensor::SixteenBits::Float16, values,
        info->shape[0], info->shape[1], m_mappings.at(info->name));
}

void Loader::forget(const std::string& name)
{
    const auto* info = m_files.find(name);
    if (const auto& mapping = m_mappings[info->name])
        mapping->forget(info->bytes);
}

void Loader::fill(LinearSite& site, const std::string& path, bool bias, std::int64_t layer,
                  bool packed)
{
    if (path.empty())
        return;
    site.path = path;
    site.layer = layer;
    site.index = m_nextSite++;
    site.transposed = layer >= 0 && m_files.config().transposedWeights;
    if (packed && !site.transposed)
        site.packed = asStored(path + ".weight");
    const bool coded = packed && hasFewBits(m_weights); // from what the file has, wherever the model computes
    if (!site.packed)
        site.weight = coded ? take(path + ".weight", c10::kCPU, at::kFloat) : take(path + ".weight");
    if (coded && site.weight.defined()) {
        site.pack(m_weights, m_device);
        forget(path + ".weight");
    }
    if (bias)
        site.bias = take(path + ".bias");
}

void Loader::fill(Norm& norm, const std::string& path)
{
    if (path.empty())
        return;
    norm.path = path;
    norm.weight = take(path + ".weight");
    if (m_files.config().norm == NormKind::Layer)
        norm.bias = take(path + ".bias");
}

void Loader::fill(Block& block, const WeightNames& names, std::int64_t layer)
{
    const auto& config = m_files.config();
    const auto norm = [&](Norm& target, const std::string& part) {
        fill(target, names.inLayer(layer, part));
    };
    const auto linear = [&](LinearSite& site, const std::string& part, bool bias) {
        fill(site, names.inLayer(layer, part), bias, layer, /*packed=*/true);
    };
    norm(block.attentionNorm, names.attentionNorm);
    norm(block.afterAttention, names.afterAttention);
    norm(block.mlpNorm, names.mlpNorm);
    norm(block.afterMlp, names.afterMlp);
    norm(block.qNorm, names.qNorm);
    norm(block.kNorm, names.kNorm);
    norm(block.globalNorm, names.globalNorm);
    if (config.qkv == QkvForm::Apart) {
        linear(block.q, names.q, config.attentionBias);
        linear(block.k, names.k, config.attentionBias);
        linear(block.v, names.v, config.attentionBias);
    } else {
        linear(block.qkv, names.qkv, config.attentionBias);
    }
    linear(block.o, names.o, config.outputBias);
    norm(block.crossNorm, names.crossNorm);
    linear(block.crossQ, names.crossQ, config.attentionBias);
    linear(block.crossK, names.crossK, config.attentionBias);
    linear(block.crossV, names.crossV, config.attentionBias);
    linear(block.crossO, names.crossO, config.outputBias);
    fillForward(block, names, layer);
}

void Loader::fillForward(Block& block, const WeightNames& names, std::int64_t layer)
{
    const auto& config = m_files.config();
    const auto linear = [&](LinearSite& site, const std::string& part, bool bias,
                            bool packed = true) {
        fill(site, names.inLayer(layer, part), bias, layer, packed);
    };
    const auto index = static_cast<std::size_t>(layer);
    if (index >= config.layer.size() || !config.layer[index].sparse) {
        if (names.gateUp.empty()) {
            linear(block.gate, names.gate, config.mlpBias);
            linear(block.up, names.up, config.mlpBias);
        } else {
            linear(block.gateUp, names.gateUp, config.mlpBias);
        }
        linear(block.down, names.down, config.mlpBias);
        return;
    }
    // As bitsandbytes: what picks experts, and these, stay as they are.
    linear(block.router, names.router, false, false);
    block.experts.resize(static_cast<std::size_t>(config.experts.count));
    for (std::size_t e = 0; e < block.experts.size(); ++e) {
        const auto named = [&](const std::string& part) {
            return fmt::format(fmt::runtime(part), e);
        };
        linear(block.experts[e].gate, named(names.expertGate), false, false);
        linear(block.experts[e].up, named(names.expertUp), false, false);
        linear(block.experts[e].down, named(names.expertDown), false, false);
    }
}

void Loader::fill(std::vector<Block>& blocks, Norm& finalNorm, const WeightNames& names,
                  std::int64_t layers)
{
    for (std::int64_t i = 0; i < layers; ++i)
        fill(blocks.emplace_back(), names, i);
    fill(finalNorm, names.finalNorm);
}

template<class Kind> Result<std::unique_ptr<Kind>> Loader::finish(std::unique_ptr<Kind> model)
{
    const auto& config = m_files.config();
    model->config = config;
    const auto fillTable = [this](Tensor& values, tensor::QuantisedPtr& packed,
                                  const std::string& path) {
        packed = asStored(path + ".weight");
        if (!packed)
            values = table(path);
    };
    fillTable(model->embedding, model->packedEmbedding, config.names.embedding);
    if (!config.tieEmbeddings)
        fillTable(model->headWeight, model->packedHead, config.names.head);
    if (config.headBias)
        model->headBias = take(config.names.head + ".bias");
    if (!config.names.headBias.empty())
        model->headBias = take(config.names.headBias + ".bias");
    model->tie();
    if (m_error)
        return at(*m_error, m_files.folder().filename().string());
    if (m_weights == WeightKind::Int8) {
        model->pack(WeightKind::Int8);
        forget(config.names.embedding + ".weight");
    }
    return model;
}

std::uint64_t freeMemory()
{
    // MemAvailable counts what the kernel can give without swapping; sysconf's free pages do not.
    std::FILE* file = std::fopen("/proc/meminfo", "re");
    unsigned long long kilobytes = 0;
    char line[256];
    while (file && std::fgets(line, sizeof(line), file)) {
        if (std::sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1)
            break;
    }
    if (file)
        std::fclose(file);
    return kilobytes * 1024;
}

Result<void> checkMemory(const ModelConfig& config, at::ScalarType dtype, WeightKind weights)
{
    const auto needed = weights == WeightKind::Float32
                            ? static_cast<std::uint64_t>(config.parameters()) * at::elementSize(dtype)
                            : weightBytes(config, weights);
    const auto available = freeMemory();
    if (available > 0 && needed > available)
        return Error{ErrorCode::OutOfMemory,
                     fmt::format("the model needs {} of memory, {} are free", humanBytes(needed),
                                 humanBytes(available)),
                     "model", "Close other programs or choose a smaller model"};
    return {};
}

/// A model of another kind than the caller can use.
Result<void> checkKind(const ModelFiles& files, ModelKind kind, const char* wanted,
                       at::ScalarType dtype, WeightKind weights = WeightKind::Float32)
{
    const auto& config = files.config();
    const auto folder = files.folder().filename().string();
    if (kind != ModelKind::Encoder) {
        if (auto writes = requireWriter(config, folder); !writes)
            return writes;
    }
    if (config.kind != kind)
        return Error{
            ErrorCode::Unsupported,
            fmt::format("this needs {}, and {} models are of another kind", wanted, config.family),
            folder, "Choose another model"};
    const bool shared = weights == WeightKind::Stored16;
    return checkMemory(config, dtype, shared ? files.storedKind() : weights);
}

} // namespace

Result<std::unique_ptr<Decoder>> loadDecoder(const ModelFiles& files, c10::Device device,
                                             at::ScalarType dtype, WeightKind weights)
{
    if (auto fine = checkKind(files, ModelKind::Decoder, "a decoder", dtype, weights); !fine)
        return fine.error();
    const auto& names = files.config().names;
    auto decoder = std::make_unique<Decoder>();
    Loader loader(files, device, dtype, weights);
    if (files.config().learnedPositions)
        decoder->positions = loader.table(names.positions);
    loader.fill(decoder->blocks, decoder->finalNorm, names, files.config().layers);
    return loader.finish(std::move(decoder));
}

Result<std::unique_ptr<Encoder>> loadEncoder(const ModelFiles& files, c10::Device device,
                                             at::ScalarType dtype)
{
    if (auto fine = checkKind(files, ModelKind::Encoder, "an encoder", dtype); !fine)
        return fine.error();
    const auto& config = files.config();
    const auto& names = config.names;
    auto encoder = std::make_unique<Encoder>();
    Loader loader(files, device, dtype);
    encoder->positions = loader.table(names.positions);
    encoder->tokenTypes = loader.table(names.tokenTypes);
    loader.fill(encoder->embeddingNorm, names.embeddingNorm);
    Norm none;
    loader.fill(encoder->blocks, none, names, config.layers);
    if (config.encoder.pooler)
        loader.fill(encoder->pooler, names.pooler, true);
    if (config.encoder.languageHead) {
        loader.fill(encoder->headDense, names.headDense, true);
        loader.fill(encoder->headNorm, names.headNorm);
    }
    for (const auto& head : config.encoder.heads)
        encoder->heads.emplace_back(head.name, loader.take(head.name));
    return loader.finish(std::move(encoder));
}

Result<std::unique_ptr<EncoderDecoder>> loadEncoderDecoder(const ModelFiles& files,
                                                           c10::Device device, at::ScalarType dtype,
                                                           WeightKind weights)
{
    if (auto fine = checkKind(files, ModelKind::EncoderDecoder, "an encoder-decoder", dtype, weights);
        !fine)
        return fine.error();
    const auto& config = files.config();
    auto model = std::make_unique<EncoderDecoder>();
    Loader loader(files, device, dtype, weights);
    const auto fill = [&](EncoderDecoder::Stack& stack, const WeightNames& names,
                          std::int64_t layers) {
        loader.fill(stack.blocks, stack.finalNorm, names, layers);
        for (std::int64_t layer = 0; layer < config.relative.tablesIn(layers); ++layer)
            stack.relativeBias.push_back(loader.table(names.inLayer(layer, names.relativeBias)));
        stack.globalBias = loader.table(names.inLayer(0, names.globalBias));
    };
    fill(model->reader, config.names, config.layers);
    fill(model->writer, config.writer.names, config.writer.layers);
    return loader.finish(std::move(model));
}

Result<std::unique_ptr<Model>> loadAny(const ModelFiles& files, c10::Device device,
                                       at::ScalarType dtype)
{
    const auto widened = [](auto loaded) -> Result<std::unique_ptr<Model>> {
        if (!loaded)
            return loaded.error();
        return std::unique_ptr<Model>(*std::move(loaded));
    };
    if (files.config().kind == ModelKind::Encoder)
        return widened(loadEncoder(files, device, dtype));
    return widened(loadLanguageModel(files, device, dtype));
}

Result<std::unique_ptr<LanguageModel>> loadLanguageModel(const ModelFiles& files,
                                                         c10::Device device, at::ScalarType dtype,
                                                         WeightKind weights)
{
    const auto widened = [](auto loaded) -> Result<std::unique_ptr<LanguageModel>> {
        if (!loaded)
            return loaded.error();
        return std::unique_ptr<LanguageModel>(*std::move(loaded));
    };
    if (files.config().kind == ModelKind::EncoderDecoder)
        return widened(loadEncoderDecoder(files, device, dtype, weights));
    return widened(loadDecoder(files, device, dtype, weights));
}

} // namespace fettle::model
