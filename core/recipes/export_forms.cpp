#include "recipes/export_forms.h"

namespace fettle::recipes {

const std::vector<ExportForm>& exportForms()
{
    static const std::vector<ExportForm> forms = {
        peftForm(),
        mergedForm(),
        ggufForm(),
        ollamaForm(),
        ggufLoraForm(),
    };
    return forms;
}

std::vector<ExportFormInfo> exportFormInfos()
{
    std::vector<ExportFormInfo> infos;
    for (const auto& form : exportForms())
        infos.push_back(form.info);
    return infos;
}

} // namespace fettle::recipes
