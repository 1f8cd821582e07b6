#pragma once

#include "model/import/model_config.h"
#include "tensor/files/weight_files.h"
#include "tensor/files/weight_kind.h"

namespace fettle::model {

/// A model folder in Hugging Face form whose configuration and weights were checked against each
/// other: every weight the family needs is there, with its shape and in a floating-point type.
/// Code, pickles and references to downloads in the folder are never looked at.
/// Errors: those of readModelConfig and WeightFiles; InvalidInput that lists missing weights or
/// names the first one of another shape.
class ModelFiles
{
public:
    static Result<ModelFiles> open(const std::filesystem::path& folder);

    const ModelConfig& config() const { return m_config; }
    const std::filesystem::path& folder() const { return m_folder; }
    /// The weight, or nullptr. Bytes live as long as this object.
    /// Found under each of its storedNames().
    const tensor::TensorInfo* find(const std::string& name) const;
    const tensor::WeightFiles& weights() const { return m_weights; }
    /// Stored16 when every matrix that can be held so is stored so; else Float32.
    tensor::WeightKind storedKind() const;
    /// Oddities that do no harm, such as unused weights; one sentence each.
    const std::vector<std::string>& warnings() const { return m_warnings; }
    /// SHA-256 over config.json and the weight files, names included. Reads every byte.
    Result<std::string> digest() const;

private:
    Result<void> checkWeights();
    void noteExtras(const std::vector<WeightShape>& expected);

    std::filesystem::path m_folder;
    ModelConfig m_config;
    tensor::WeightFiles m_weights;
    std::vector<std::string> m_warnings;
};

} // namespace fettle::model
