#pragma once

#include "model/import/adapter_config.h"
#include "model/import/hf_folder.h"
#include "tensor/files/torch_file.h"

#include <functional>
#include <map>

namespace fettle::model {

/// A tensor of an adapter in float32, row-major.
struct AdapterTensor
{
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

/// What an adapter does to one module of the base: W + scale * B A, and what variants add.
struct AdapterUpdate
{
    AdapterTensor a, b;      ///< [rank, in], [out, rank]
    AdapterTensor magnitude; ///< DoRA: length of each output's row; else empty
    AdapterTensor bias;      ///< lora_bias: [out]; else empty
    double scale = 1;
    bool embedding = false; ///< a table [vocab, hidden]: the update is the other way round
};

/// An adapter in PEFT form, checked against its base: every update belongs to a weight of the base
/// and fits it, each A has its B, ranks are those of the configuration, every place that the
/// configuration names has its update, and no tensor is left over.
struct Adapter
{
    AdapterConfig config;
    std::filesystem::path folder;                 ///< that holds adapter_config.json
    std::map<std::string, AdapterUpdate> updates; ///< by module, as the base names it
    std::map<std::string, AdapterTensor> whole; ///< weights in place of the base's, by their names
};

/// The folder with adapter_config.json: this one, or the one folder in it that has it (PEFT puts
/// adapters of other names than "default" there). Errors: NotFound; InvalidInput when there are
/// several.
Result<std::filesystem::path> adapterFolder(const std::filesystem::path& folder);
bool isAdapter(const std::filesystem::path& folder);

/// Errors: those of AdapterConfig and of the file; InvalidInput naming the places that are missing
/// in the base or in the file, or the tensor that does not fit.
Result<Adapter> openAdapter(const std::filesystem::path& folder, const ModelFiles& base);

} // namespace fettle::model
