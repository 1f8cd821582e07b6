#pragma once

#include "methods/method.h"
#include "model/language_model.h"
#include "model/import/weight_writer.h"

#include <filesystem>
#include <functional>
#include <vector>

namespace fettle::deploy {

/// Called with the bytes of each part that was written; an error (Cancelled) ends the writing.
using WrittenBytes = std::function<Result<void>(std::uint64_t bytes)>;

/// How the weights of a whole model are written.
struct WeightForm
{
    tensor::DType type = tensor::DType::F32; ///< F32, F16 or BF16
    std::uint64_t maxShardBytes = model::kMaxShardBytes;
    WrittenBytes written;
};

/// "float32", "bfloat16" or "float16", and their short names. Errors: InvalidInput.
Result<tensor::DType> weightTypeFrom(const std::string& name);

/// Writes a PEFT adapter folder (adapter_config.json, adapter_model.safetensors), whole or not at
/// all. Errors: Unsupported when the method has no adapter; those of writing.
Result<void> exportAdapter(const methods::Attached& attached, const std::string& baseModel,
                           const std::filesystem::path& target);
/// Compares each tensor of a written adapter with the one in memory, bit by bit; gives their
/// number. Errors: Internal naming the first that differs; those of reading.
Result<std::int64_t> checkAdapter(const methods::Attached& attached,
                                  const std::filesystem::path& folder);

/// Writes the model as a Hugging Face folder: configuration, tokenizer and conversation form of
/// the base, weights rounded to the type. Weights pass through in parts. Errors: InvalidInput
/// naming the weight that the type cannot hold; those of writing.
Result<void> exportModel(model::Model& model, const std::filesystem::path& baseFolder,
                         const std::filesystem::path& target, const WeightForm& form);
/// Compares every weight of the folder with what exportModel() was to write, bit by bit; gives
/// their number. Errors: Internal naming the first weight that differs; those of reading.
Result<std::int64_t> checkModel(model::Model& model, const std::filesystem::path& folder,
                                tensor::DType type);

} // namespace fettle::deploy
