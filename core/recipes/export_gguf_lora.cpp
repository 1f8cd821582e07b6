// The add-on alone as a GGUF file, which llama.cpp loads beside the GGUF file of the original.

#include "model/import/gguf_adapter.h"
#include "model/import/staged_folder.h"
#include "model/load.h"
#include "recipes/export_forms.h"
#include "tensor/torch_pch.h"

#include <cstring>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

fs::path fileOf(const ExportPlan& plan, const fs::path& folder)
{
    return folder / (plan.folder.filename().string() + ".gguf");
}

Result<void> write(ExportSource& source)
{
    model::StagedFolder staged(source.plan.folder);
    if (auto made = staged.create(); !made)
        return made;
    const auto peft = staged.path() / "peft";
    if (auto written = deploy::exportAdapter(*source.attached, source.baseModel, peft); !written)
        return written;
    const auto base = model::ModelFiles::open(source.folder);
    if (!base)
        return base.error();
    const auto adapter = model::openAdapter(peft, *base);
    if (!adapter)
        return adapter.error();
    auto digest = model::exportGgufAdapter(*adapter, *base, source.baseModel,
                                           fileOf(source.plan, staged.path()));
    if (!digest)
        return digest.error();
    source.digest = *std::move(digest);
    source.notes.push_back("the add-on is loaded beside the original as a GGUF file (in llama.cpp: "
                           "--lora)");
    std::error_code ec;
    fs::remove_all(peft, ec);
    return staged.publish();
}

/// Puts what the file holds into a method of the run's settings. Gives how many values are bit by
/// bit those in memory.
Result<std::int64_t> fill(const methods::Attached& attached, const methods::Attached& inMemory,
                          const std::map<std::string, model::AdapterUpdate>& updates)
{
    const at::NoGradGuard noGrad;
    const auto config = inMemory.adapterConfig("");
    const double wanted = config.at("lora_alpha").get<double>() / config.at("r").get<double>();
    std::int64_t same = 0;
    const auto& kept = inMemory.trainable();
    for (std::size_t i = 0; i < kept.size(); ++i) {
        at::Tensor target = attached.trainable()[i].value;
        const auto& name = kept[i].name; // "<module>.lora_A.weight"
        const auto found = updates.find(name.substr(0, name.rfind(".lora_")));
        if (found == updates.end())
            return Error{ErrorCode::Internal, "the file has no update of " + name, "export",
                         "Do not use this file; write it again"};
        const bool first = name.ends_with(".lora_A.weight");
        const auto& matrix = first ? found->second.a : found->second.b;
        auto read =
            at::from_blob(const_cast<float*>(matrix.values.data()), matrix.shape, at::kFloat)
                .clone();
        const auto mine = kept[i].value.detach().to(at::kCPU, at::kFloat).contiguous();
        if (read.sizes() == mine.sizes() &&
            std::memcmp(read.const_data_ptr(), mine.const_data_ptr(), read.nbytes()) == 0)
            same += read.numel();
        // The method multiplies by its own scale; the file may state another.
        target.copy_(first ? read : read.mul_(found->second.scale / wanted));
    }
    return same;
}

Result<ReadBack> readBack(ExportSource& source)
{
    const auto file = fileOf(source.plan, source.plan.folder);
    if (auto whole = checkDigest(source, file); !whole)
        return whole.error();
    const auto base = model::ModelFiles::open(source.folder);
    if (!base)
        return base.error();
    const auto updates = model::readGgufAdapter(file, base->config());
    if (!updates)
        return updates.error();
    auto again = baseWithMethod(source);
    if (!again)
        return again;
    const auto compared = fill(*again->attached, *source.attached, *updates);
    if (!compared)
        return compared.error();
    again->weights = *compared;
    return again;
}

} // namespace

ExportForm ggufLoraForm()
{
    return {{"gguf-lora", "the add-on alone as a GGUF file, for llama.cpp", {"F32"}, true, false},
            write,
            readBack};
}

} // namespace fettle::recipes
