#include "recipes/export_forms.h"

#include "base/sha256.h"
#include "model/load.h"
#include "recipes/settings.h"
#include "tensor/torch_pch.h"

namespace fettle::recipes {

const std::vector<ExportForm>& exportForms()
{
    static const std::vector<ExportForm> forms = {
        peftForm(), mergedForm(), ggufForm(), ollamaForm(), ggufLoraForm(),
    };
    return forms;
}

Result<ReadBack> baseWithMethod(const ExportSource& source)
{
    auto files = model::ModelFiles::open(source.folder);
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
    return ReadBack{*std::move(decoder), *std::move(attached), 0};
}

Result<void> checkDigest(const ExportSource& source, const std::filesystem::path& file)
{
    const auto digest = sha256OfFile(file);
    if (!digest)
        return digest.error();
    if (*digest != source.digest)
        return Error{ErrorCode::Internal, "the file on the disk is not what was written",
                     file.filename().string(),
                     "Do not use it; write it again, and check the disk if that does not help"};
    return {};
}

std::vector<ExportFormInfo> exportFormInfos()
{
    std::vector<ExportFormInfo> infos;
    for (const auto& form : exportForms())
        infos.push_back(form.info);
    return infos;
}

} // namespace fettle::recipes
