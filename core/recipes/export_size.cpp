#include "recipes/export_size.h"

#include "model/import/gguf_mix.h"

namespace fettle::recipes {

namespace {

/// The tensors of a GGUF file; 0 for a family or kind that cannot be written.
std::uint64_t ggufBytes(const model::ModelConfig& config, const std::string& type)
{
    std::vector<std::string> notes;
    const auto kind = model::ggufKindFrom(type);
    const auto family = model::ggufFamilyFor(config, notes);
    if (!kind || !family)
        return 0;
    const auto slots = model::ggufSlots(config, **family);
    const auto types = model::ggufTypes(*kind, slots, config);
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto* info = tensor::ggmlTypeInfo(static_cast<std::uint32_t>(types[i]));
        std::uint64_t values = 1;
        for (const auto size : slots[i].shape)
            values *= static_cast<std::uint64_t>(size);
        bytes += values / info->values * info->bytes;
    }
    return bytes;
}

} // namespace

std::uint64_t estimatedExportBytes(const model::ModelConfig& config, const std::string& form,
                                   const std::string& type, std::int64_t trainable)
{
    const auto bytesEach = [&type]() -> std::uint64_t {
        return type == "float32" ? 4 : type == "bfloat16" || type == "float16" ? 2 : 0;
    };
    if (form == "gguf-lora")
        return static_cast<std::uint64_t>(trainable) * 4;
    if (form == "peft")
        return static_cast<std::uint64_t>(trainable) * bytesEach();
    if (form == "merged")
        return static_cast<std::uint64_t>(config.parameters()) * bytesEach();
    return ggufBytes(config, type);
}

} // namespace fettle::recipes
