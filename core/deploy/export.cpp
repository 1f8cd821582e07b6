#include "deploy/export.h"

#include "model/import/export_files.h"
#include "model/import/hf_folder.h"
#include "tensor/files/convert.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

#include <cstring>
#include <fmt/format.h>
#include <map>

namespace fettle::deploy {

namespace fs = std::filesystem;
using at::Tensor;
using tensor::DType;

namespace {

constexpr std::int64_t kPart = 1 << 20; // elements that are rounded and written at once

const std::string kAdapterPrefix = "base_model.model.";

/// All weights of a model under their published names, rounded to one type on the way out.
class RoundedWeights
{
public:
    RoundedWeights(model::Model& model, DType type)
        : m_type(type)
    {
        for (const auto& [name, value] : model.parameters()) {
            m_weights.emplace(name, value->detach());
            m_plan.push_back({name, type, value->sizes().vec()});
        }
    }
    const std::vector<tensor::TensorPlan>& plan() const { return m_plan; }

    Result<void> give(const tensor::TensorPlan& item, const model::PartSink& sink) const
    {
        const Tensor value = m_weights.at(item.name).to(at::kCPU, at::kFloat).contiguous();
        const float* values = value.const_data_ptr<float>();
        std::vector<std::byte> rounded(static_cast<std::size_t>(std::min(kPart, value.numel())) *
                                       bytesOfOne());
        for (std::int64_t done = 0; done < value.numel(); done += kPart) {
            const auto count = static_cast<std::size_t>(std::min(kPart, value.numel() - done));
            if (tensor::fromFloats({values + done, count}, m_type, rounded.data()))
                return cannotHold(item.name);
            if (auto given = sink(rounded.data(), count * bytesOfOne()); !given)
                return given;
        }
        return {};
    }

private:
    std::uint64_t bytesOfOne() const { return tensor::bitsOf(m_type) / 8; }
    Error cannotHold(const std::string& name) const
    {
        if (m_type == DType::F32)
            return {ErrorCode::Diverged, "the weight " + name + " holds a value that is not finite",
                    "export", "Go back to an earlier save point"};
        return {ErrorCode::InvalidInput,
                fmt::format("the weight {} holds a value that {} cannot hold", name,
                            tensor::nameOf(m_type)),
                "--dtype",
                m_type == DType::F16 ? "Choose bfloat16, which has the range of float32, or float32"
                                     : "Choose float32"};
    }

    DType m_type;
    std::map<std::string, Tensor> m_weights;
    std::vector<tensor::TensorPlan> m_plan;
};

Error differs(const std::string& name)
{
    return {ErrorCode::Internal,
            "the weight " + name + " read back from the disk is not the one that was written",
            "export", "Do not use this folder; check the disk and write it again"};
}

} // namespace

Result<DType> weightTypeFrom(const std::string& name)
{
    if (name.empty() || name == "float32" || name == "f32" || name == "fp32")
        return DType::F32;
    if (name == "bfloat16" || name == "bf16")
        return DType::BF16;
    if (name == "float16" || name == "f16" || name == "fp16")
        return DType::F16;
    return Error{ErrorCode::InvalidInput,
                 fmt::format("\"{}\" is no type in which weights are written", name), "--dtype",
                 "Use float32, bfloat16 or float16"};
}

Result<void> exportAdapter(const methods::Attached& attached, const std::string& baseModel,
                           const fs::path& target)
{
    const auto config = attached.adapterConfig(baseModel);
    if (config.is_null())
        return Error{ErrorCode::Unsupported,
                     "this method changes the whole model and has no add-on", "export",
                     "Write the merged folder instead"};
    std::vector<Tensor> kept;
    std::vector<tensor::TensorToWrite> tensors;
    for (const auto& each : attached.trainable()) {
        kept.push_back(each.value.detach().to(at::kCPU, at::kFloat).contiguous());
        tensors.push_back({{kAdapterPrefix + each.name, DType::F32, kept.back().sizes().vec()},
                           kept.back().const_data_ptr(),
                           static_cast<std::uint64_t>(kept.back().nbytes())});
    }
    return model::writePeftAdapter(target, Json(config), tensors);
}

Result<std::int64_t> checkAdapter(const methods::Attached& attached, const fs::path& folder)
{
    auto written = tensor::readTensors(folder / "adapter_model.safetensors");
    if (!written)
        return written.error();
    for (const auto& each : attached.trainable()) {
        const auto found = written->find(kAdapterPrefix + each.name);
        const Tensor value = each.value.detach().to(at::kCPU, at::kFloat).contiguous();
        if (found == written->end() || !at::equal(found->second, value))
            return differs(each.name);
    }
    if (written->size() != attached.trainable().size())
        return differs("adapter_model.safetensors");
    return static_cast<std::int64_t>(written->size());
}

Result<void> exportModel(model::Model& model, const fs::path& baseFolder, const fs::path& target,
                         const WeightForm& form)
{
    const RoundedWeights weights(model, form.type);
    const auto source = [&](const tensor::TensorPlan& item, const model::PartSink& sink) {
        return weights.give(item, [&](const void* data, std::uint64_t size) -> Result<void> {
            if (form.written) {
                if (auto goOn = form.written(size); !goOn)
                    return goOn;
            }
            return sink(data, size);
        });
    };
    return model::writeModelFolder(target, baseFolder, weights.plan(), source, form.maxShardBytes);
}

Result<std::int64_t> checkModel(model::Model& model, const fs::path& folder, DType type)
{
    const auto files = model::ModelFiles::open(folder);
    if (!files)
        return files.error();
    const RoundedWeights weights(model, type);
    for (const auto& item : weights.plan()) {
        const auto* written = files->find(item.name);
        if (!written || written->dtype != type || written->shape != item.shape)
            return differs(item.name);
        std::uint64_t at = 0;
        auto same = weights.give(item, [&](const void* data, std::uint64_t size) -> Result<void> {
            if (at + size > written->bytes.size() ||
                std::memcmp(written->bytes.data() + at, data, size) != 0)
                return differs(item.name);
            at += size;
            return {};
        });
        if (!same)
            return same.error();
    }
    if (files->weights().tensors().size() != weights.plan().size())
        return differs("list");
    return static_cast<std::int64_t>(weights.plan().size());
}

} // namespace fettle::deploy
