#pragma once

#include "model/import/gguf_slots.h"
#include "model/import/weight_writer.h"

#include <map>

namespace fettle::model {

/// A language model in a GGUF file, seen as a Hugging Face folder: configuration and weights under
/// their published names. Checked against each other when it is opened.
/// Errors: Unsupported for other architectures, parts of a split file, adapters and unknown
/// quantisations; InvalidInput for missing keys and weights.
class GgufModel
{
public:
    static Result<GgufModel> open(const std::filesystem::path& path);

    const tensor::GgufFile& file() const { return m_file; }
    /// What config.json will say, and in raw its text.
    const ModelConfig& config() const { return m_config; }
    /// Description of the weights after import: matrices of 16 bits as they are, all else in
    /// float32.
    std::vector<tensor::TensorPlan> plan() const;
    /// Gives one weight, as planned, to the sink, in parts of a few megabytes, with rows and values
    /// put back to what the published checkpoint has.
    Result<void> read(const tensor::TensorPlan& weight, const PartSink& sink) const;
    /// Facts worth telling, one sentence each.
    const std::vector<std::string>& notes() const { return m_notes; }

private:
    struct Source
    {
        std::size_t slot;   ///< in m_slots
        std::size_t number; ///< of the weight in its tensor
    };

    Result<void> mapWeights();
    Result<void> checkSlot(const GgufSlot& slot) const;
    std::span<const std::byte> bytesOf(const Source& source) const;
    Result<void> fillSkipped(const Source& source, const PartSink& sink) const;
    Result<void> readRows(const Source& source, const PartSink& sink) const;
    tensor::DType keptType(const Source& source) const;
    Result<void> readHalves(const Source& source, const PartSink& sink) const;
    Result<void> readTransposed(const Source& source, const PartSink& sink) const;

    std::filesystem::path m_path;
    tensor::GgufFile m_file;
    ModelConfig m_config;
    std::vector<GgufSlot> m_slots;
    std::map<std::string, Source> m_sources; ///< by published name
    std::vector<std::string> m_notes;
};

} // namespace fettle::model
