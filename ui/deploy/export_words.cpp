#include "ui/deploy/export_words.h"

#include "ui/deploy/deploy_place.h"
#include "ui/text/words.h"

namespace fettle::ui {

FormWords wordsOf(const recipes::ExportFormInfo& form)
{
    const FormWords known[] = {
        {"peft", "list-add", DeployPlace::tr("Add-on"),
         DeployPlace::tr("A small folder that changes the original when both are loaded (PEFT).")},
        {"merged", "folder", DeployPlace::tr("Folder"),
         DeployPlace::tr("The whole model as a Hugging Face folder. Works on its own in most "
                         "programs.")},
        {"gguf", "document-export", DeployPlace::tr("One file"),
         DeployPlace::tr("A GGUF file for chat programs on this or another computer.")},
        {"ollama", "dialog-messages", DeployPlace::tr("For Ollama"),
         DeployPlace::tr("A GGUF file and a Modelfile with the conversation form.")},
        {"gguf-lora", "list-add", DeployPlace::tr("Add-on for llama.cpp"),
         DeployPlace::tr("A small GGUF file that is loaded beside the original's GGUF file.")}};
    for (const auto& words : known) {
        if (form.id == words.id)
            return words;
    }
    return {"", "document-export", qs(form.id), qs(form.help)};
}

TypeWords wordsOf(const QString& type)
{
    const auto bits = [&type](int count) {
        return DeployPlace::tr("%1 bit (%2)").arg(count).arg(type);
    };
    const QString none = DeployPlace::tr("no loss"), hardly = DeployPlace::tr("hardly any loss"),
                  small = DeployPlace::tr("a small loss"),
                  some = DeployPlace::tr("some loss: read the proof");
    if (type == "float32" || type == "F32")
        return {bits(32), none};
    if (type == "bfloat16" || type == "float16" || type == "BF16" || type == "F16")
        return {bits(16), hardly};
    const int digit = type.size() > 1 ? type[1].digitValue() : -1;
    if (digit <= 0)
        return {type, {}};
    return {bits(digit), digit >= 8 ? hardly : digit >= 6 ? small : some};
}

} // namespace fettle::ui
