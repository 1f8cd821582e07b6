#include "model/import/import.h"

#include "model/import/bitsandbytes.h"
#include "model/import/folder_files.h"
#include "model/import/gguf_config.h"
#include "model/import/gguf_metadata.h"
#include "model/import/gguf_model.h"
#include "model/import/hf_folder.h"
#include "model/import/meter.h"
#include "model/import/staged_folder.h"
#include "model/import/torch_weights.h"
#include "text/tokenizer.h"

#include <algorithm>
#include <fmt/format.h>
#include <new>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kCopyPart = 4u << 20;

/// The tokenizer loads and names no id beyond the embedding table.
Result<void> checkTokenizer(const fs::path& folder, const ModelConfig& config,
                            const fs::path& source)
{
    const auto tokenizer = text::Tokenizer::load(folder);
    if (!tokenizer)
        return tokenizer.error();
    if ((*tokenizer)->vocabSize() > config.vocab)
        return Error{ErrorCode::InvalidInput,
                     fmt::format("the tokenizer has {} tokens, the model's table only {} rows",
                                 (*tokenizer)->vocabSize(), config.vocab),
                     source.string(), "Fetch tokenizer and weights from the same source"};
    return {};
}

Result<void> writeTokenizer(const tensor::GgufFile& file, const fs::path& folder)
{
    const auto described = tokenizerFromGguf(file);
    if (!described)
        return described.error();
    const auto files = text::tokenizerJsonFromGguf(*described);
    if (!files)
        return at(files.error(), file.path().string());
    for (const auto& [name, content] : files->items()) {
        const std::string text =
            content.is_string() ? content.get<std::string>() : content.dump(2) + "\n";
        if (auto written = writeFileAtomically(folder / name, text); !written)
            return written;
    }
    return {};
}

/// Writes all weights of a source and counts them.
template<class Source>
Result<void> writeMetered(const fs::path& folder, const Source& source, Meter& meter)
{
    return writeWeights(folder, source.plan(),
                        [&](const tensor::TensorPlan& weight, const PartSink& sink) {
                            return source.read(weight, meter.counted(sink));
                        });
}

Result<ImportedModel> importGguf(const fs::path& source, const fs::path& target,
                                 const ImportProgress& progress, std::stop_token stop)
{
    const auto model = GgufModel::open(source);
    if (!model)
        return model.error();
    const auto plan = model->plan();
    const auto total = totalBytes(plan);
    if (!total)
        return total.error();
    if (auto room = checkRoom(target, *total); !room)
        return room.error();
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made.error();
    // The tokenizer first: it fails for more files than the weights do, and costs nothing.
    if (auto written = writeTokenizer(model->file(), staged.path()); !written)
        return written.error();
    if (auto fine = checkTokenizer(staged.path(), model->config(), source); !fine)
        return fine.error();
    const std::pair<const char*, std::string> texts[] = {
        {"config.json", model->config().raw.dump(2) + "\n"},
        {"generation_config.json", generationFromGguf(model->file()).dump(2) + "\n"},
        {"README.md", readmeFromGguf(model->file())}};
    for (const auto& [name, text] : texts) {
        if (model->config().kind == ModelKind::Encoder &&
            name == std::string_view("generation_config.json"))
            continue;
        if (auto written = writeFileAtomically(staged.path() / name, text); !written)
            return written.error();
    }
    Meter meter(progress, std::move(stop), *total);
    if (auto written = writeMetered(staged.path(), *model, meter); !written)
        return written.error();
    const auto files = ModelFiles::open(staged.path());
    if (!files)
        return files.error();
    if (auto published = staged.publish(); !published)
        return published.error();
    return ImportedModel{target, files->config(), model->notes()};
}

Result<void> copyFile(const fs::path& from, const fs::path& to, Meter& meter)
{
    const auto file = MappedFile::open(from);
    if (!file)
        return file.error();
    AtomicFile out(to);
    if (auto opened = out.open(); !opened)
        return opened;
    const auto bytes = (*file)->bytes();
    for (std::uint64_t done = 0; done < bytes.size(); done += kCopyPart) {
        const auto part =
            bytes.subspan(done, std::min<std::uint64_t>(kCopyPart, bytes.size() - done));
        if (auto counted = meter.add(part.size()); !counted)
            return counted;
        if (auto written = out.write(part.data(), part.size()); !written)
            return written;
    }
    return out.commit();
}

Result<ModelFiles> checkFolder(const fs::path& source)
{
    std::error_code ec;
    if (!fs::exists(source / "config.json", ec) && fs::exists(source / "adapter_config.json", ec))
        return Error{ErrorCode::Unsupported, "the folder holds an adapter, not a model",
                     source.string(), "Choose the folder of the base model"};
    auto files = ModelFiles::open(source);
    if (!files)
        return files;
    if (auto fine = checkTokenizer(source, files->config(), source); !fine)
        return fine.error();
    return files;
}

constexpr const char* kDecodedNote =
    "the weights were compressed by bitsandbytes and are now the 32-bit numbers that they stood for";

struct TorchModel
{
    ModelConfig config;
    TorchWeights weights;
};

/// A folder with PyTorch files, checked as checkFolder() checks others.
Result<TorchModel> openTorch(const fs::path& source)
{
    auto config = readModelConfig(source);
    if (!config)
        return config.error();
    if (auto fine = checkTokenizer(source, *config, source); !fine)
        return fine.error();
    auto weights = TorchWeights::open(source, *config);
    if (!weights)
        return weights.error();
    return TorchModel{*std::move(config), *std::move(weights)};
}

/// What a folder becomes whose weights have to be written anew.
template <class Source>
struct Rewritten
{
    const fs::path& from;   ///< its other files are carried over
    const Source& weights;
    std::string config;     ///< config.json in place of the folder's own; empty: that one
    const char* note;       ///< what happened to the weights
};

template <class Source>
Result<ImportedModel> importRewritten(const Rewritten<Source>& rewritten, const fs::path& target,
                                      const ImportProgress& progress, std::stop_token stop)
{
    const auto total = totalBytes(rewritten.weights.plan());
    if (!total)
        return total.error();
    if (auto room = checkRoom(target, *total); !room)
        return room.error();
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made.error();
    Meter meter(progress, std::move(stop), *total);
    for (const auto& path : carriedFiles(rewritten.from)) {
        if (auto copied = copyFile(path, staged.path() / path.filename(), meter); !copied)
            return copied.error();
    }
    if (!rewritten.config.empty()) {
        if (auto written = writeFileAtomically(staged.path() / "config.json", rewritten.config); !written)
            return written.error();
    }
    if (auto written = writeMetered(staged.path(), rewritten.weights, meter); !written)
        return written.error();
    const auto files = checkFolder(staged.path());
    if (!files)
        return files.error();
    if (auto published = staged.publish(); !published)
        return published.error();
    auto notes = files->warnings();
    notes.push_back(rewritten.note);
    return ImportedModel{target, files->config(), std::move(notes)};
}

/// A folder whose weights are PyTorch files: read without running them, written as safetensors.
Result<ImportedModel> importTorch(const fs::path& source, const fs::path& target,
                                  const ImportProgress& progress, std::stop_token stop)
{
    const auto torch = openTorch(source);
    if (!torch)
        return torch.error();
    return importRewritten(Rewritten<TorchWeights>{source, torch->weights, {},
                                                   "the weights were PyTorch files and are now safetensors"},
                           target, progress, std::move(stop));
}

/// A folder that bitsandbytes has quantised: written as the float32 numbers that it decodes to.
Result<ImportedModel> importCompressed(const fs::path& source, const fs::path& target,
                                       const ImportProgress& progress, std::stop_token stop)
{
    const auto packed = BitsandbytesFolder::open(source);
    if (!packed)
        return packed.error();
    if (auto fine = checkTokenizer(source, packed->config(), source); !fine)
        return fine.error();
    return importRewritten(Rewritten<BitsandbytesFolder>{source, *packed, packed->configJson().dump(2) + "\n",
                                                         kDecodedNote},
                           target, progress, std::move(stop));
}

Result<ImportedModel> importFolder(const fs::path& source, const fs::path& target,
                                   const ImportProgress& progress, std::stop_token stop)
{
    const auto files = checkFolder(source);
    if (!files)
        return files.error();
    auto paths = carriedFiles(source);
    for (const auto& file : files->weights().files())
        paths.push_back(file.path());
    if (files->weights().index())
        paths.push_back(*files->weights().index());
    std::error_code ec;
    std::uint64_t total = 0;
    for (const auto& path : paths)
        total += fs::file_size(path, ec);
    if (auto room = checkRoom(target, total); !room)
        return room.error();
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made.error();
    Meter meter(progress, std::move(stop), total);
    for (const auto& path : paths) {
        if (auto copied = copyFile(path, staged.path() / path.filename(), meter); !copied)
            return copied.error();
    }
    const auto copy = checkFolder(staged.path()); // the source may have changed meanwhile
    if (!copy)
        return copy.error();
    if (auto published = staged.publish(); !published)
        return published.error();
    return ImportedModel{target, copy->config(), files->warnings()};
}

/// A sentence for files that are not what an import takes; nothing when it may be a GGUF file.
std::optional<Error> refusedFile(const fs::path& source)
{
    const std::string ending = source.extension().string();
    constexpr std::string_view kWeights[] = {".bin",  ".pt",  ".pth",
                                             ".ckpt", ".pkl", ".safetensors"};
    if (std::ranges::find(kWeights, ending) != std::end(kWeights))
        return Error{ErrorCode::InvalidInput, "one weight file alone is not a model",
                     source.string(),
                     "Choose the folder that holds this file, config.json and the tokenizer"};
    return std::nullopt;
}

template<class Work> Result<ImportedModel> guarded(const fs::path& source, Work work)
{
    try {
        std::error_code ec;
        if (!fs::exists(source, ec))
            return Error{ErrorCode::NotFound, "there is no such file or folder", source.string(),
                         "Check the name"};
        const bool folder = fs::is_directory(source, ec);
        if (!folder) {
            if (const auto refused = refusedFile(source))
                return *refused;
        } else if (auto links = checkLinks(source); !links) {
            return links.error();
        }
        return work(folder);
    } catch (const std::bad_alloc&) {
        return Error{ErrorCode::OutOfMemory, "there is not enough memory to read the model",
                     source.string(), "Close other programs and try again"};
    } catch (const std::exception&) {
        return Error{ErrorCode::InvalidInput, "a part of the model could not be read",
                     source.string(), "Fetch the model again from its source"};
    }
}

} // namespace

Result<ImportedModel> importModel(const fs::path& source, const fs::path& target,
                                  const ImportProgress& progress, std::stop_token stop)
{
    return guarded(source, [&](bool folder) {
        if (folder && TorchWeights::isIn(source))
            return importTorch(source, target, progress, stop);
        if (folder && BitsandbytesFolder::isIn(source))
            return importCompressed(source, target, progress, stop);
        return folder ? importFolder(source, target, progress, stop)
                      : importGguf(source, target, progress, stop);
    });
}

Result<ImportedModel> inspectModel(const fs::path& source)
{
    return guarded(source, [&](bool folder) -> Result<ImportedModel> {
        if (folder && TorchWeights::isIn(source)) {
            auto torch = openTorch(source);
            if (!torch)
                return torch.error();
            return ImportedModel{source, std::move(torch->config), {}};
        }
        if (folder && BitsandbytesFolder::isIn(source)) {
            const auto packed = BitsandbytesFolder::open(source);
            if (!packed)
                return packed.error();
            return ImportedModel{source, packed->config(), {kDecodedNote}};
        }
        if (folder) {
            const auto files = checkFolder(source);
            if (!files)
                return files.error();
            return ImportedModel{source, files->config(), files->warnings()};
        }
        const auto model = GgufModel::open(source);
        if (!model)
            return model.error();
        return ImportedModel{source, model->config(), model->notes()};
    });
}

} // namespace fettle::model
