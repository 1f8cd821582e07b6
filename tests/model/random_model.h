#pragma once

#include "base/atomic_file.h"
#include "base/rng.h"
#include "model/import/model_config.h"
#include "tensor/files/safetensors.h"

#include <cmath>
#include <filesystem>

namespace fettle::tests {

/// A folder with a model of any family from its config.json alone, with random weights: matrices of a
/// size that keeps states near 1, norms near what lets through.
inline Result<void> writeRandomModel(const std::filesystem::path& folder, const Json& json)
{
    const auto config = model::parseModelConfig(json, {}, "config.json");
    if (!config)
        return config.error();
    std::vector<tensor::TensorPlan> plan;
    for (const auto& weight : model::expectedWeights(*config))
        plan.push_back({weight.name, tensor::DType::F32, weight.shape});
    std::filesystem::create_directories(folder);
    if (auto written = writeFileAtomically(folder / "config.json", json.dump(1)); !written)
        return written;
    tensor::SafetensorsWriter file(folder / "model.safetensors", plan);
    if (auto opened = file.open(); !opened)
        return opened;
    const Rng rng(3, "random model");
    std::uint64_t number = 0;
    for (const auto& each : file.order()) {
        std::uint64_t count = 1;
        for (const auto size : each.shape)
            count *= static_cast<std::uint64_t>(size);
        const bool matrix = each.shape.size() == 2;
        const bool ones = !matrix && each.name.ends_with(".weight") &&
                          config->norm != model::NormKind::RmsPlusOne;
        const double width =
            matrix ? 2 / std::sqrt(static_cast<double>(std::min(each.shape[0], each.shape[1]))) : 0.4;
        std::vector<float> values(count);
        for (std::uint64_t i = 0; i < count; ++i)
            values[i] = static_cast<float>((rng.uniform(number, i) - 0.5) * width + (ones ? 1 : 0));
        ++number;
        if (auto written = file.write(values.data(), count * sizeof(float)); !written)
            return written;
    }
    return file.commit();
}

} // namespace fettle::tests
