#include "model/load.h"

#include "base/text.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

#include <fmt/format.h>
#include <unistd.h>

namespace fettle::model {

using at::Tensor;

namespace {

/// Fills a decoder weight by weight; the first error stops it.
class Loader
{
public:
    Loader(const ModelFiles& files, c10::Device device, at::ScalarType dtype)
        : m_files(files), m_device(device), m_dtype(dtype)
    {
        for (const auto& file : files.weights().files()) {
            for (const auto& info : file.tensors())
                m_mappings.emplace(info.name, file.mapping());
        }
    }

    Tensor take(const std::string& name)
    {
        const auto* info = m_files.find(name);
        if (m_error || !info)
            return {};
        auto tensor = tensor::tensorOver(*info, m_mappings[name]);
        if (!tensor) {
            m_error = tensor.error();
            return {};
        }
        return tensor->to(m_device, m_dtype);
    }
    void fill(LinearSite& site, std::int64_t layer, const std::string& part, bool bias)
    {
        const auto& config = m_files.config();
        if (part.empty())
            return;
        site.path = config.names.inLayer(layer, part);
        site.layer = layer;
        site.index = m_nextSite++;
        site.transposed = config.transposedWeights;
        site.weight = take(site.path + ".weight");
        if (bias)
            site.bias = take(site.path + ".bias");
    }
    void fill(Norm& norm, const std::string& path)
    {
        if (path.empty())
            return;
        norm.path = path;
        norm.weight = take(path + ".weight");
        if (m_files.config().norm == NormKind::Layer)
            norm.bias = take(path + ".bias");
    }
    void fill(Decoder::Block& block, std::int64_t layer);
    const std::optional<Error>& error() const { return m_error; }

private:
    const ModelFiles& m_files;
    c10::Device m_device;
    at::ScalarType m_dtype;
    std::map<std::string, std::shared_ptr<const void>> m_mappings;
    std::optional<Error> m_error;
    std::uint64_t m_nextSite = 0;
};

void Loader::fill(Decoder::Block& block, std::int64_t layer)
{
    const auto& config = m_files.config();
    const auto& names = config.names;
    const auto norm = [&](Norm& target, const std::string& part) {
        fill(target, names.inLayer(layer, part));
    };
    norm(block.attentionNorm, names.attentionNorm);
    norm(block.afterAttention, names.afterAttention);
    norm(block.mlpNorm, names.mlpNorm);
    norm(block.afterMlp, names.afterMlp);
    norm(block.qNorm, names.qNorm);
    norm(block.kNorm, names.kNorm);
    if (config.qkv == QkvForm::Apart) {
        fill(block.q, layer, names.q, config.attentionBias);
        fill(block.k, layer, names.k, config.attentionBias);
        fill(block.v, layer, names.v, config.attentionBias);
    } else {
        fill(block.qkv, layer, names.qkv, config.attentionBias);
    }
    fill(block.o, layer, names.o, config.outputBias);
    if (!config.layer[static_cast<std::size_t>(layer)].sparse) {
        if (names.gateUp.empty()) {
            fill(block.gate, layer, names.gate, config.mlpBias);
            fill(block.up, layer, names.up, config.mlpBias);
        } else {
            fill(block.gateUp, layer, names.gateUp, config.mlpBias);
        }
        fill(block.down, layer, names.down, config.mlpBias);
        return;
    }
    fill(block.router, layer, names.router, false);
    block.experts.resize(static_cast<std::size_t>(config.experts.count));
    for (std::size_t e = 0; e < block.experts.size(); ++e) {
        const auto named = [&](const std::string& part) { return fmt::format(fmt::runtime(part), e); };
        fill(block.experts[e].gate, layer, named(names.expertGate), false);
        fill(block.experts[e].up, layer, named(names.expertUp), false);
        fill(block.experts[e].down, layer, named(names.expertDown), false);
    }
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

Result<void> checkMemory(const ModelConfig& config, at::ScalarType dtype)
{
    const auto needed = static_cast<std::uint64_t>(config.parameters()) * at::elementSize(dtype);
    const auto available = freeMemory();
    if (available > 0 && needed > available)
        return Error{ErrorCode::OutOfMemory,
                     fmt::format("the model needs {} of memory, {} are free", humanBytes(needed), humanBytes(available)),
                     "model", "Close other programs or choose a smaller model"};
    return {};
}

} // namespace

Result<std::unique_ptr<Decoder>> loadDecoder(const ModelFiles& files, c10::Device device, at::ScalarType dtype)
{
    const auto& config = files.config();
    if (auto fits = checkMemory(config, dtype); !fits)
        return fits.error();
    auto decoder = std::make_unique<Decoder>();
    decoder->config = config;
    Loader loader(files, device, dtype);
    decoder->embedding = loader.take(config.names.embedding + ".weight");
    if (config.learnedPositions)
        decoder->positions = loader.take(config.names.positions + ".weight");
    for (std::int64_t i = 0; i < config.layers; ++i)
        loader.fill(decoder->blocks.emplace_back(), i);
    loader.fill(decoder->finalNorm, config.names.finalNorm);
    if (!config.tieEmbeddings)
        decoder->headWeight = loader.take(config.names.head + ".weight");
    if (config.headBias)
        decoder->headBias = loader.take(config.names.head + ".bias");
    decoder->tie();
    if (loader.error())
        return at(*loader.error(), files.folder().filename().string());
    return decoder;
}

} // namespace fettle::model
