#pragma once

#include "model/import/model_config.h"
#include "model/import/weight_writer.h"
#include "tensor/files/weight_files.h"

namespace fettle::model {

/// A folder whose matrices bitsandbytes has quantised: NF4 and FP4 with or without double
/// quantisation, and LLM.int8. Its weights are read as the float32 numbers that they decode to.
class BitsandbytesFolder
{
public:
    /// True when the folder's config.json says so.
    static bool isIn(const std::filesystem::path& folder);
    /// Errors: InvalidInput for missing weights, shapes and tables that do not fit each other;
    /// Unsupported for other ways of packing.
    static Result<BitsandbytesFolder> open(const std::filesystem::path& folder);

    /// As of the folder without the compression.
    const ModelConfig& config() const { return m_config; }
    /// config.json as it will be written.
    const Json& configJson() const { return m_json; }
    /// All weights, in float32.
    const std::vector<tensor::TensorPlan>& plan() const { return m_plan; }
    Result<void> read(const tensor::TensorPlan& weight, const PartSink& sink) const;

private:
    /// The parts of a matrix in 4 bits.
    struct FourBit
    {
        std::int64_t blockSize = 64, nestedBlockSize = 0; ///< 0: absmax is in float32
        float offset = 0;
    };
    Result<void> check(const WeightShape& weight);
    Result<FourBit> fourBitOf(const WeightShape& weight, const tensor::TensorInfo& codes) const;
    Result<void> readFourBit(const tensor::TensorPlan& weight, const tensor::TensorInfo& codes,
                             const PartSink& sink) const;
    Result<void> readInt8(const tensor::TensorPlan& weight, const tensor::TensorInfo& codes,
                          const PartSink& sink) const;
    const tensor::TensorInfo* find(const std::string& name) const;
    /// The part of a matrix that has this type and so many elements. Errors: InvalidInput.
    Result<const tensor::TensorInfo*> part(const std::string& name, tensor::DType type,
                                           std::int64_t count) const;
    Error broken(const std::string& weight, const std::string& what) const;

    std::filesystem::path m_folder;
    Json m_json;
    ModelConfig m_config;
    tensor::WeightFiles m_weights;
    std::map<std::string, FourBit> m_fourBit; ///< by published name
    std::vector<tensor::TensorPlan> m_plan;
};

} // namespace fettle::model
