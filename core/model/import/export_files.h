#pragma once

#include "base/json.h"
#include "model/import/weight_writer.h"

namespace fettle::model {

/// Writes an adapter as the PEFT library reads it: adapter_config.json and
/// adapter_model.safetensors. `config` holds the keys of the method, "peft_type" among them; the
/// keys that all adapters share (task_type, base_model_name_or_path, inference_mode ...) are added
/// where they are missing. Names of tensors are complete:
/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight". The folder appears whole or
/// not at all. Errors: InvalidInput for a config without type, a name that PEFT would pass over in
/// silence, and an A without its B; those of writing.
Result<void> writePeftAdapter(const std::filesystem::path& target, const Json& config,
                              const std::vector<tensor::TensorToWrite>& tensors);

/// Writes a whole model as a Hugging Face folder: the weights that `source` gives, tokenizer files
/// and card of `base`, and its configuration with element type and tie of the head as they are in
/// `plan`. References to code in the configuration are dropped. The folder appears whole or not at
/// all. Errors: NotFound, InvalidInput for a base without configuration; those of the source and of
/// writing.
Result<void> writeModelFolder(const std::filesystem::path& target,
                              const std::filesystem::path& base,
                              const std::vector<tensor::TensorPlan>& plan,
                              const TensorSource& source,
                              std::uint64_t maxShardBytes = kMaxShardBytes);

} // namespace fettle::model
