#pragma once

#include "model/import/model_config.h"
#include "model/import/weight_writer.h"
#include "tensor/files/torch_file.h"

namespace fettle::model {

/// The weights of a folder that has them only as PyTorch files (pytorch_model.bin, or parts with
/// their index), seen under their published names and checked against the configuration.
class TorchWeights
{
public:
    /// True when the folder has such files and no safetensors.
    static bool isIn(const std::filesystem::path& folder);
    /// `config` learns that the head is tied when the files have none.
    /// Errors: those of TorchFile; InvalidInput for missing weights and wrong shapes.
    static Result<TorchWeights> open(const std::filesystem::path& folder, ModelConfig& config);

    /// The weights as they will be written, with their stored element types.
    const std::vector<tensor::TensorPlan>& plan() const { return m_plan; }
    Result<void> read(const tensor::TensorPlan& weight, const PartSink& sink) const;

private:
    const tensor::TorchTensor* find(const std::string& name, const ModelConfig& config) const;

    std::vector<tensor::TorchFile> m_files;
    std::map<std::string, const tensor::TorchTensor*> m_stored; ///< by name in the files
    std::map<std::string, const tensor::TorchTensor*> m_byName; ///< by published name
    std::vector<tensor::TensorPlan> m_plan;
};

} // namespace fettle::model
