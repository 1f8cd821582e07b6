// The add-on alone, as the PEFT library reads it.

#include "recipes/export_forms.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

namespace fettle::recipes {

namespace {

Result<void> write(ExportSource& source)
{
    return deploy::exportAdapter(*source.attached, source.baseModel, source.plan.folder);
}

/// The base from its folder, with an add-on of the run's settings that is filled from the file.
Result<ReadBack> readBack(ExportSource& source)
{
    auto compared = deploy::checkAdapter(*source.attached, source.plan.folder);
    if (!compared)
        return compared.error();
    auto again = baseWithMethod(source);
    if (!again)
        return again;
    auto tensors = tensor::readTensors(source.plan.folder / "adapter_model.safetensors");
    if (!tensors)
        return tensors.error();
    const at::NoGradGuard noGrad;
    for (const auto& each : again->attached->trainable()) {
        at::Tensor target = each.value;
        target.copy_(tensors->at("base_model.model." + each.name));
    }
    again->weights = *compared;
    return again;
}

} // namespace

ExportForm peftForm()
{
    return {{"peft", "the add-on alone (PEFT)", {"float32"}, true, false}, write, readBack};
}

} // namespace fettle::recipes
