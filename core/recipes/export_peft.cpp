// The add-on alone, as the PEFT library reads it.

#include "model/load.h"
#include "recipes/export_forms.h"
#include "recipes/settings.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

namespace fettle::recipes {

namespace {

Result<void> write(ExportSource& source)
{
    return deploy::exportAdapter(*source.model.attached, source.baseModel, source.plan.folder);
}

/// The base from its folder, with an add-on of the run's settings that is filled from the file.
Result<ReadBack> readBack(ExportSource& source)
{
    auto compared = deploy::checkAdapter(*source.model.attached, source.plan.folder);
    if (!compared)
        return compared.error();
    auto files = model::ModelFiles::open(source.model.folder);
    if (!files)
        return files.error();
    auto decoder = model::loadLanguageModel(*files, c10::kCPU, at::kFloat);
    if (!decoder)
        return decoder.error();
    ParamValues values(trainingSettings());
    if (auto set = values.setAll(Json(source.run->settings)); !set)
        return set.error();
    auto method = methods::makeMethod(values.text("method"));
    if (!method)
        return method.error();
    auto attached = (*method)->attach(**decoder, values, Rng(source.run->seed, "adapter init"));
    if (!attached)
        return attached.error();
    auto tensors = tensor::readTensors(source.plan.folder / "adapter_model.safetensors");
    if (!tensors)
        return tensors.error();
    const at::NoGradGuard noGrad;
    for (const auto& each : (*attached)->trainable()) {
        at::Tensor target = each.value;
        target.copy_(tensors->at("base_model.model." + each.name));
    }
    return ReadBack{*std::move(decoder), *std::move(attached), *compared};
}

deploy::ProofLimits limits(const std::string&) { return {}; }

} // namespace

ExportForm peftForm()
{
    return {{"peft", "the add-on alone (PEFT)", {"float32"}, true, false}, write, readBack, limits};
}

} // namespace fettle::recipes
