#include "model/import/export_files.h"

#include "model/import/folder_files.h"
#include "model/import/model_config.h"
#include "model/import/staged_folder.h"

#include <fmt/format.h>
#include <set>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

Error invalid(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "adapter", ""};
}

/// PEFT drops tensors that it does not know without a word, so names are checked here.
Result<void> checkAdapterNames(const std::vector<tensor::TensorToWrite>& tensors)
{
    constexpr std::string_view kPrefix = "base_model.model.";
    std::set<std::string> names;
    for (const auto& tensor : tensors) {
        if (!tensor.plan.name.starts_with(kPrefix) && tensor.plan.name != "prompt_embeddings")
            return invalid(
                fmt::format("the tensor '{}' does not begin with '{}'", tensor.plan.name, kPrefix));
        names.insert(tensor.plan.name);
    }
    for (const auto& name : names) {
        for (const auto& [mine, other] :
             {std::pair<std::string, std::string>{".lora_A.", ".lora_B."},
              {".lora_B.", ".lora_A."}}) {
            const auto place = name.find(mine);
            if (place == std::string::npos || name.ends_with("lora_B.bias"))
                continue;
            std::string partner = name;
            partner.replace(place, mine.size(), other);
            if (!names.contains(partner))
                return invalid(
                    fmt::format("the tensor '{}' is without its partner '{}'", name, partner));
        }
    }
    return {};
}

Json withSharedKeys(Json config)
{
    for (const auto& [key, value] : {std::pair<const char*, Json>{"task_type", "CAUSAL_LM"},
                                     {"auto_mapping", nullptr},
                                     {"base_model_name_or_path", nullptr},
                                     {"revision", nullptr},
                                     {"modules_to_save", nullptr}}) {
        if (!config.contains(key))
            config[key] = value;
    }
    config["inference_mode"] = true;
    return config;
}

const char* torchName(tensor::DType type)
{
    switch (type) {
    case tensor::DType::F16:
        return "float16";
    case tensor::DType::BF16:
        return "bfloat16";
    case tensor::DType::F64:
        return "float64";
    default:
        return "float32";
    }
}

/// The configuration of the base made true for the new weights.
Result<std::string> configFor(const fs::path& base, const std::vector<tensor::TensorPlan>& plan)
{
    const auto read = readJsonFile(base / "config.json", 16u << 20);
    if (!read)
        return at(read.error(), base.string());
    if (!read->is_object())
        return Error{ErrorCode::InvalidInput, "the configuration is not a JSON object",
                     (base / "config.json").string(), ""};
    Json config = *read;
    for (const char* key : {"auto_map", "_name_or_path", "custom_pipelines"})
        config.erase(key);
    const auto parsed = parseModelConfig(config, Json(), (base / "config.json").string());
    if (!parsed)
        return parsed.error();
    if (parsed->wrapped) // only the language part is written
        config = parsed->raw;
    bool ownHead = false;
    for (const auto& item : plan)
        ownHead = ownHead || item.name == parsed->names.head + ".weight";
    // In files of t5 the key says as well whether states are scaled, so it stays as it was.
    if (parsed->kind != ModelKind::EncoderDecoder)
        config["tie_word_embeddings"] = !ownHead;
    const std::string type = plan.empty() ? "float32" : torchName(plan.front().dtype);
    config["torch_dtype"] = type; // for older readers
    config["dtype"] = type;
    return config.dump(2) + "\n";
}

Result<void> copyCarried(const fs::path& base, const fs::path& folder)
{
    for (const auto& path : carriedFiles(base)) {
        if (path.filename() == "config.json")
            continue;
        const auto text = readFile(path);
        if (!text)
            return text.error();
        if (auto written = writeFileAtomically(folder / path.filename(), *text); !written)
            return written;
    }
    return {};
}

} // namespace

Result<void> writePeftAdapter(const fs::path& target, const Json& config,
                              const std::vector<tensor::TensorToWrite>& tensors)
{
    if (!config.is_object() || !config.contains("peft_type"))
        return invalid("the configuration names no 'peft_type'");
    if (auto fine = checkAdapterNames(tensors); !fine)
        return fine;
    std::uint64_t bytes = 0;
    for (const auto& tensor : tensors)
        bytes += tensor.size;
    if (auto room = checkRoom(target, bytes); !room)
        return room;
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made;
    if (auto written =
            tensor::writeSafetensors(staged.path() / "adapter_model.safetensors", tensors);
        !written)
        return written;
    const std::string text = withSharedKeys(config).dump(2) + "\n";
    if (auto written = writeFileAtomically(staged.path() / "adapter_config.json", text); !written)
        return written;
    return staged.publish();
}

Result<void> writeModelFolder(const fs::path& target, const fs::path& base,
                              const std::vector<tensor::TensorPlan>& plan,
                              const TensorSource& source, std::uint64_t maxShardBytes)
{
    const auto config = configFor(base, plan);
    if (!config)
        return config.error();
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made;
    if (auto written = writeWeights(staged.path(), plan, source, maxShardBytes); !written)
        return written;
    if (auto copied = copyCarried(base, staged.path()); !copied)
        return copied;
    if (auto written = writeFileAtomically(staged.path() / "config.json", *config); !written)
        return written;
    return staged.publish();
}

} // namespace fettle::model
