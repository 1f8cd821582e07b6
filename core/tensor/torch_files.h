#pragma once

#include "base/result.h"
#include "tensor/files/safetensors.h"

#include <ATen/core/Tensor.h>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fettle::tensor {

/// LibTorch's type for a type in files; nothing for those that LibTorch lacks.
std::optional<at::ScalarType> scalarTypeOf(DType type);
std::optional<DType> dtypeOf(at::ScalarType type);

/// A tensor over the bytes of a file without a copy, holding `keepAlive`; a copy when the bytes are
/// misaligned or nothing keeps them alive. Must not be written to. Errors: Unsupported.
Result<at::Tensor> tensorOver(const TensorInfo& info, std::shared_ptr<const void> keepAlive);

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Tensors of a safetensors file without a copy: they share the file's mapping and must not be
/// written to. Misaligned ones are copied. Errors: those of the reader, with the file's name.
Result<std::map<std::string, at::Tensor>> readTensors(const std::filesystem::path& file);

/// Writes tensors (any device, any strides) as one safetensors file, whole or not at all.
Result<void> writeTensors(const std::filesystem::path& file, const NamedTensors& tensors);

} // namespace fettle::tensor
