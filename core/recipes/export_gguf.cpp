// A whole model as one GGUF file for llama.cpp and the programs built on it, alone or with what
// Ollama needs.

#include "model/import/gguf_export.h"
#include "model/import/hf_folder.h"
#include "model/import/ollama.h"
#include "model/import/staged_folder.h"
#include "model/load.h"
#include "recipes/export_forms.h"
#include "tensor/torch_pch.h"

#include <cmath>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

/// The file is called as its folder; Ollama's is named in the Modelfile.
std::string fileName(const ExportPlan& plan)
{
    return plan.form == "ollama" ? "model.gguf" : plan.folder.filename().string() + ".gguf";
}

/// The model as a Hugging Face folder: the one in the workspace, or what a run made of it, written
/// in float32 inside `beside` under the name that the file will state.
Result<fs::path> folderOf(ExportSource& source, const fs::path& beside)
{
    if (!source.attached)
        return source.folder;
    if (auto merged = source.attached->merge(); !merged)
        return merged.error();
    const auto folder = beside / source.plan.folder.filename();
    if (auto written =
            deploy::exportModel(source.inMemory, source.folder, folder,
                                {tensor::DType::F32, source.plan.shardBytes, source.written});
        !written)
        return written.error();
    return folder;
}

Result<void> write(ExportSource& source)
{
    const auto kind = model::ggufKindFrom(source.plan.type);
    if (!kind)
        return kind.error();
    model::StagedFolder staged(source.plan.folder);
    if (auto made = staged.create(); !made)
        return made;
    const auto folder = folderOf(source, staged.path());
    if (!folder)
        return folder.error();
    std::stop_source stop;
    std::uint64_t last = 0;
    const auto progress = [&](std::uint64_t done, std::uint64_t) {
        if (source.written && !source.written(done - std::exchange(last, done)))
            stop.request_stop();
    };
    const auto written = model::exportGguf(*folder, staged.path() / fileName(source.plan), *kind,
                                           progress, stop.get_token());
    if (!written)
        return written.error();
    source.digest = written->sha256;
    source.notes = written->notes;
    if (source.plan.form == "ollama") {
        if (auto rest = model::writeOllamaFiles(*folder, fileName(source.plan), staged.path());
            !rest)
            return rest;
    }
    std::error_code ec;
    if (*folder != source.folder)
        fs::remove_all(*folder, ec);
    return staged.publish();
}

/// What rounding to the type of most matrices may change in a weight, over its root mean square;
/// the other tensors have more bits. In blocks the worst case: one value of the block is large, and
/// all others are half a step of it away: sqrt(values in the block) / number of steps.
double roundingOf(tensor::GgmlType type)
{
    using enum tensor::GgmlType;
    switch (type) {
    case F32:
        return 1e-6;
    case BF16:
        return 1.0 / 256;
    case F16:
        return 1.0 / 2048;
    case Q8_0:
        return std::sqrt(32.0) / 254;
    case Q6_K:
        return std::sqrt(16.0) / 62;
    case Q5_K:
    case Q5_1:
    case Q5_0:
        return std::sqrt(32.0) / 31;
    default:
        return std::sqrt(32.0) / 15;
    }
}

/// Imported again as any such file would be: a reader that shares no line with the writer but the
/// table of names.
Result<ReadBack> readBack(ExportSource& source)
{
    const auto file = source.plan.folder / fileName(source.plan);
    if (auto whole = checkDigest(source, file); !whole)
        return whole.error();
    const auto again = source.plan.folder.parent_path() /
                       ("." + source.plan.folder.filename().string() + ".read-back");
    std::error_code ec;
    fs::remove_all(again, ec);
    const auto imported = model::importModel(file, again);
    if (!imported)
        return imported.error();
    auto files = model::ModelFiles::open(again);
    if (!files)
        return files.error();
    auto written = model::loadAny(*files, c10::kCPU, at::kFloat);
    fs::remove_all(again, ec);
    if (!written)
        return written.error();
    const auto kind = model::ggufKindFrom(source.plan.type);
    if (!kind)
        return kind.error();
    deploy::moveScoreScale(source.inMemory, (*written)->config);
    deploy::keepStoredPart(source.inMemory);
    const auto compared =
        deploy::checkRounded(source.inMemory, **written, roundingOf(model::infoOf(*kind).type));
    if (!compared)
        return compared.error();
    return ReadBack{*std::move(written), nullptr, *compared};
}

std::vector<std::string> types()
{
    std::vector<std::string> names{"Q8_0"}; // the default
    for (const auto& info : model::ggufKinds()) {
        if (info.name != names[0])
            names.emplace_back(info.name);
    }
    return names;
}

} // namespace

ExportForm ggufForm()
{
    return {{"gguf", "one GGUF file for llama.cpp, LM Studio and others", types(), false, true},
            write,
            readBack};
}

ExportForm ollamaForm()
{
    return {{"ollama", "a GGUF file with a Modelfile for Ollama", types(), false, true},
            write,
            readBack};
}

} // namespace fettle::recipes
