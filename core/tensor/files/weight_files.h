#pragma once

#include "tensor/files/safetensors.h"

#include <optional>
#include <string>
#include <vector>

namespace fettle::tensor {

/// True for a name that stays inside its folder on every system: not empty, no separator, no "..",
/// no drive, no control character, not reserved on Windows, at most 255 bytes.
bool isPlainFileName(std::string_view name);

/// All weights of a model folder: model.safetensors, or the shards that
/// model.safetensors.index.json names. The spans live as long as this object. Errors: NotFound when
/// the folder has no weights (with advice when it has only pickles); InvalidInput for a lying
/// index; those of SafetensorsFile.
class WeightFiles
{
public:
    static Result<WeightFiles> open(const std::filesystem::path& folder);

    /// nullptr when there is none of this name.
    const TensorInfo* find(const std::string& name) const;
    /// Every tensor, file by file.
    std::vector<const TensorInfo*> tensors() const;
    const std::vector<SafetensorsFile>& files() const { return m_files; }
    /// The index file, when there is one.
    const std::optional<std::filesystem::path>& index() const { return m_index; }
    /// Oddities that do no harm, one sentence each.
    const std::vector<std::string>& warnings() const { return m_warnings; }

private:
    static Result<WeightFiles> openSharded(const std::filesystem::path& folder);

    std::vector<SafetensorsFile> m_files;
    std::optional<std::filesystem::path> m_index;
    std::vector<std::string> m_warnings;
};

} // namespace fettle::tensor
