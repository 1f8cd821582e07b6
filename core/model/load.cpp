#include "model/load.h"

#include "base/text.h"
#include "model/architectures/families.h"
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
    void fill(LinearSite& site, std::int64_t layer, const std::string& path)
    {
        site.path = path;
        site.layer = layer;
        site.index = m_nextSite++;
        site.weight = take(path + ".weight");
        site.bias = take(path + ".bias");
    }
    const std::optional<Error>& error() const { return m_error; }

private:
    const ModelFiles& m_files;
    c10::Device m_device;
    at::ScalarType m_dtype;
    std::map<std::string, std::shared_ptr<const void>> m_mappings;
    std::optional<Error> m_error;
    std::uint64_t m_nextSite = 0;
};

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
    auto spec = architectureSpec(files.config());
    if (!spec)
        return at(spec.error(), files.folder().filename().string());
    if (auto fits = checkMemory(files.config(), dtype); !fits)
        return fits.error();
    auto decoder = std::make_unique<Decoder>();
    decoder->spec = *std::move(spec);
    Loader loader(files, device, dtype);
    decoder->embedding = loader.take("model.embed_tokens.weight");
    for (std::int64_t i = 0; i < decoder->spec.layers; ++i) {
        const auto prefix = "model.layers." + std::to_string(i) + ".";
        auto& block = decoder->blocks.emplace_back();
        block.inputNorm = loader.take(prefix + "input_layernorm.weight");
        block.postNorm = loader.take(prefix + "post_attention_layernorm.weight");
        loader.fill(block.q, i, prefix + "self_attn.q_proj");
        loader.fill(block.k, i, prefix + "self_attn.k_proj");
        loader.fill(block.v, i, prefix + "self_attn.v_proj");
        loader.fill(block.o, i, prefix + "self_attn.o_proj");
        loader.fill(block.gate, i, prefix + "mlp.gate_proj");
        loader.fill(block.up, i, prefix + "mlp.up_proj");
        loader.fill(block.down, i, prefix + "mlp.down_proj");
    }
    decoder->finalNorm = loader.take("model.norm.weight");
    decoder->headWeight = decoder->spec.tiedHead ? decoder->embedding : loader.take("lm_head.weight");
    if (loader.error())
        return at(*loader.error(), files.folder().filename().string());
    return decoder;
}

} // namespace fettle::model
