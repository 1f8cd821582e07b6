// A whole model as one GGUF file for llama.cpp and the programs built on it, alone or with what
// Ollama needs.

#include "model/import/gguf_export.h"
#include "model/import/hf_folder.h"
#include "model/import/ollama.h"
#include "model/import/staged_folder.h"
#include "model/load.h"
#include "recipes/export_forms.h"
#include "tensor/torch_pch.h"

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
    auto& model = source.model;
    if (!model.attached)
        return model.folder;
    if (auto merged = model.attached->merge(); !merged)
        return merged.error();
    const auto folder = beside / source.plan.folder.filename();
    if (auto written =
            deploy::exportModel(*model.decoder, model.folder, folder,
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
    if (*folder != source.model.folder)
        fs::remove_all(*folder, ec);
    return staged.publish();
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
    auto decoder = model::loadLanguageModel(*files, c10::kCPU, at::kFloat);
    fs::remove_all(again, ec);
    if (!decoder)
        return decoder.error();
    return ReadBack{*std::move(decoder), nullptr, 0};
}

/// What rounding to a type may do; the digest catches a changed byte, these catch a wrong writer.
/// Logits of words that never come move most (SmolLM2-135M: by 2 in Q8_0, 7 in Q4_K_M, 14 in Q4_0),
/// so the perplexity is the sharper one.
deploy::ProofLimits limits(const std::string& type)
{
    if (type == "F16" || type == "BF16")
        return deploy::limitsFor(*deploy::weightTypeFrom(type == "F16" ? "float16" : "bfloat16"));
    if (type == "F32")
        return {};
    if (type == "Q8_0")
        return {8, 0.03};
    if (type == "Q6_K")
        return {16, 0.06};
    return type.starts_with("Q5") ? deploy::ProofLimits{32, 0.15} : deploy::ProofLimits{64, 0.5};
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
            readBack,
            limits};
}

ExportForm ollamaForm()
{
    return {{"ollama", "a GGUF file with a Modelfile for Ollama", types(), false, true},
            write,
            readBack,
            limits};
}

} // namespace fettle::recipes
