// A whole model as a Hugging Face folder with safetensors.

#include "model/load.h"
#include "recipes/export_forms.h"
#include "tensor/torch_pch.h"

namespace fettle::recipes {

namespace {

Result<void> write(ExportSource& source)
{
    if (source.attached) {
        if (auto merged = source.attached->merge(); !merged)
            return merged;
    }
    const auto type = deploy::weightTypeFrom(source.plan.type);
    if (!type)
        return type.error();
    return deploy::exportModel(source.inMemory, source.folder, source.plan.folder,
                               {*type, source.plan.shardBytes, source.written});
}

Result<ReadBack> readBack(ExportSource& source)
{
    const auto type = deploy::weightTypeFrom(source.plan.type);
    if (!type)
        return type.error();
    auto compared = deploy::checkModel(source.inMemory, source.plan.folder, *type);
    if (!compared)
        return compared.error();
    auto files = model::ModelFiles::open(source.plan.folder);
    if (!files)
        return files.error();
    auto again = model::loadAny(*files, c10::kCPU, at::kFloat);
    if (!again)
        return again.error();
    return ReadBack{*std::move(again), nullptr, *compared};
}

} // namespace

ExportForm mergedForm()
{
    return {
        {"merged", "a whole model (safetensors)", {"float32", "bfloat16", "float16"}, false, true},
        write,
        readBack};
}

} // namespace fettle::recipes
