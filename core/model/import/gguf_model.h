#pragma once

#include "base/json.h"
#include "model/import/model_config.h"
#include "model/import/weight_writer.h"
#include "tensor/files/gguf.h"

#include <map>

namespace fettle::model {

/// A language model of the llama family in a GGUF file, seen as a Hugging Face folder:
/// configuration and weights under their published names. Checked against each other when it is
/// opened. Errors: Unsupported for other architectures, parts of a split file, adapters, mixtures
/// of experts and unknown quantisations; InvalidInput for missing keys and weights.
class GgufModel
{
public:
    static Result<GgufModel> open(const std::filesystem::path& path);

    const tensor::GgufFile& file() const { return m_file; }
    /// What config.json will say, and in raw its text.
    const ModelConfig& config() const { return m_config; }
    /// Description of the weights after import, all in float32.
    std::vector<tensor::TensorPlan> plan() const;
    /// Gives one weight in float32 to the sink, in parts of a few megabytes, with the rows of q and
    /// k put back into the order of the published checkpoint.
    Result<void> read(const tensor::TensorPlan& weight, const PartSink& sink) const;
    /// Facts worth telling, one sentence each.
    const std::vector<std::string>& notes() const { return m_notes; }

private:
    struct Source
    {
        const tensor::GgufTensor* tensor;
        std::int64_t heads; ///< rows are interleaved within this many heads; 0: in order
    };

    Result<void> mapWeights();

    std::filesystem::path m_path;
    tensor::GgufFile m_file;
    ModelConfig m_config;
    std::map<std::string, Source> m_sources; ///< by published name
    std::vector<std::string> m_notes;
};

} // namespace fettle::model
