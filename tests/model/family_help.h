#pragma once

#include "golden.h"
#include "model/load.h"

#include <ATen/ATen.h>
#include <array>
#include <cmath>
#include <cstdlib>

/// What the tests of families share: checkpoints of transformers and comparisons with its numbers.
namespace fettle::tests {

using Numbers = std::vector<double>;

/// The committed checkpoints with the reference's numbers, or those that tests/oracles/held_back.py
/// made for one run.
inline std::filesystem::path checkpoints()
{
    const char* heldBack = std::getenv("FETTLE_CHECKPOINTS");
    return heldBack ? std::filesystem::path(heldBack) : sourceFolder() / "tests";
}

inline std::filesystem::path familyFolder(const std::string& name)
{
    return checkpoints() / "fixtures/families" / name;
}

inline Json familyGolden(const std::string& name)
{
    return readJsonFile(checkpoints() / "golden" / name).value();
}

inline model::ModelFiles familyFiles(const std::string& name)
{
    auto files = model::ModelFiles::open(familyFolder(name));
    if (!files)
        qFatal("%s", files.error().sentence().c_str());
    return *std::move(files);
}

inline double difference(const at::Tensor& ours, const Numbers& theirs)
{
    return (ours.detach().to(at::kDouble) - at::tensor(at::ArrayRef<double>(theirs)))
        .abs()
        .max()
        .item<double>();
}

/// Of rows by number: {"0": [..], "7": [..]}, counted from row `from` of ours.
inline double difference(const at::Tensor& ours, const Json& rows, std::int64_t from = 0)
{
    double largest = 0;
    for (const auto& [row, values] : rows.items())
        largest = std::max(largest, difference(ours[from + std::stol(row)], values.get<Numbers>()));
    return largest;
}

/// What may lie between us and a reference in float64 that takes norms and angles in float32.
inline double limitBeside(const Numbers& logits)
{
    double largest = 1;
    for (const double each : logits)
        largest = std::max(largest, std::abs(each));
    return 1e-5 * largest;
}

/// Norm and two fixed projections, as the reference script takes them.
inline std::array<double, 3> probes(const at::Tensor& gradient)
{
    const auto flat = gradient.to(at::kDouble).flatten();
    const auto k = at::arange(flat.numel(), at::kDouble);
    return {flat.norm().item<double>(), (flat * (k * 0.7 + 0.3).cos()).sum().item<double>(),
            (flat * (k * 1.9).sin()).sum().item<double>()};
}

/// Own memory and a gradient for every weight.
inline void makeTrainable(model::Model& model)
{
    for (auto& [path, parameter] : model.parameters())
        *parameter = parameter->clone().set_requires_grad(true);
    model.tie();
}

/// Empty, or the first weight whose gradient is not the reference's, with the numbers. `largest`:
/// the largest difference of a probe, relative to the gradient's norm.
inline std::string wrongGradient(model::Model& model, const Json& expected, double& largest)
{
    std::size_t checked = 0;
    double all = 0; // square of the whole gradient's norm
    for (const auto& [path, numbers] : expected.items())
        all += std::pow(numbers[0].get<double>(), 2);
    // Some gradients are nothing but rounding: those of keys' biases, which softmax takes away.
    const double least = 0.01 * std::max(1.0, std::sqrt(all));
    for (auto& [path, parameter] : model.parameters()) {
        if (!expected.contains(path)) {
            if (parameter->grad().defined())
                return path + " has a gradient";
            continue;
        }
        const auto theirs = expected[path].get<Numbers>();
        const bool none = !parameter->grad().defined(); // an expert that no token chose
        const auto ours = none ? std::array<double, 3>{} : probes(parameter->grad());
        for (std::size_t i = 0; i < ours.size(); ++i) {
            const double far = std::abs(ours[i] - theirs[i]) / (theirs[0] + least);
            if (!(far <= 1e-4))
                return path + ": " + std::to_string(ours[i]) + " against " +
                       std::to_string(theirs[i]);
            largest = std::max(largest, far);
        }
        ++checked;
    }
    return checked == expected.size()
               ? ""
               : std::to_string(checked) + " of " + std::to_string(expected.size()) + " weights";
}

} // namespace fettle::tests
