#include "model/import/weight_writer.h"

#include "base/checked.h"
#include "base/json.h"
#include "base/text.h"

#include <fmt/format.h>

namespace fettle::model {

using tensor::TensorPlan;

namespace {

/// For the small files of a model folder and what the file system itself needs.
constexpr std::uint64_t kReserve = 64u << 20;

Result<void> writeOne(const std::filesystem::path& path, const std::vector<TensorPlan>& plan,
                      const TensorSource& source)
{
    tensor::SafetensorsWriter writer(path, plan);
    if (auto opened = writer.open(); !opened)
        return opened;
    const PartSink sink = [&](const void* data, std::uint64_t size) {
        return writer.write(data, size);
    };
    for (const auto& item : writer.order()) {
        if (auto given = source(item, sink); !given)
            return given;
    }
    return writer.commit();
}

/// Cuts the list where a shard would pass the limit; a tensor is never split.
std::vector<std::vector<TensorPlan>> shards(const std::vector<TensorPlan>& plan,
                                            std::uint64_t maxBytes)
{
    std::vector<std::vector<TensorPlan>> parts(1);
    std::uint64_t filled = 0;
    for (const auto& item : plan) {
        const std::uint64_t size = *tensor::byteCount(item.dtype, item.shape);
        if (!parts.back().empty() && filled + size > maxBytes) {
            parts.emplace_back();
            filled = 0;
        }
        parts.back().push_back(item);
        filled += size;
    }
    return parts;
}

} // namespace

Result<std::uint64_t> totalBytes(const std::vector<TensorPlan>& plan)
{
    Checked total = 0;
    for (const auto& item : plan) {
        const auto size = tensor::byteCount(item.dtype, item.shape);
        if (!size)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("tensor '{}' has the impossible shape {}", item.name,
                                     tensor::shapeText(item.shape)),
                         "", ""};
        total += Checked(*size);
    }
    if (!total.ok())
        return Error{ErrorCode::InvalidInput, "the weights together are impossibly large", "", ""};
    return total.value();
}

Result<void> checkRoom(const std::filesystem::path& folder, std::uint64_t bytes)
{
    const std::uint64_t free = freeBytes(folder);
    if ((Checked(bytes) + Checked(kReserve)).within(free))
        return {};
    return Error{
        ErrorCode::DiskFull,
        fmt::format("{} are needed, {} are free", humanBytes(bytes + kReserve), humanBytes(free)),
        folder.string(), "Free some space or choose a folder on another disk; nothing was written"};
}

Result<void> writeWeights(const std::filesystem::path& folder, const std::vector<TensorPlan>& plan,
                          const TensorSource& source, std::uint64_t maxShardBytes)
{
    const auto total = totalBytes(plan);
    if (!total)
        return total.error();
    if (auto room = checkRoom(folder, *total); !room)
        return room;
    const auto parts = shards(plan, maxShardBytes);
    if (parts.size() == 1)
        return writeOne(folder / "model.safetensors", plan, source);
    Json map = Json::object();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string name =
            fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, parts.size());
        if (auto written = writeOne(folder / name, parts[i], source); !written)
            return written;
        for (const auto& item : parts[i])
            map[item.name] = name;
    }
    const Json index{{"metadata", {{"total_size", *total}}}, {"weight_map", map}};
    return writeFileAtomically(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

} // namespace fettle::model
