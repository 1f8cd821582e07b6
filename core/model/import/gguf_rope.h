#pragma once

#include "base/json.h"
#include "model/import/model_config.h"
#include "tensor/files/gguf_writer.h"

namespace fettle::model {

/// A tensor of a GGUF file that is computed from the configuration.
struct GgufComputed
{
    std::string name;
    std::vector<float> values;
};

/// Writes how rotary positions are stretched: keys, and tensors of divisors for "llama3" and
/// "longrope".
std::vector<GgufComputed> ropeToGguf(const ModelConfig& config, const std::string& architecture,
                                     tensor::GgufKeys& keys);

/// The same read back: rope_scaling of config.json, without theta.
/// Errors: Unsupported for a scaling without a published form.
Result<Json> ropeFromGguf(const tensor::GgufFile& file, const std::string& architecture,
                          std::int64_t rotaryDim, double theta);

/// The double with the shortest text of a float32: 1e-05 rather than 9.999999747378752e-06.
double shortestOf(double fromFloat);

} // namespace fettle::model
