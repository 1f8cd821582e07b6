#include "model/import/ollama.h"

#include "base/atomic_file.h"
#include "base/text.h"
#include "model/import/model_card.h"
#include "model/import/model_config.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxContext = 8192; ///< more costs memory that small machines do not have

/// A way of writing conversations, told by a text that only it has.
struct Form
{
    std::string_view sign, form;
    std::vector<std::string_view> stops;
    std::string_view systemStart, systemEnd; ///< around the standing instruction; may be empty
};

const std::vector<Form>& forms()
{
    static const std::vector<Form> known{
        {"<|im_start|>",
         "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
         "<|im_start|>assistant\n",
         {"<|im_end|>", "<|im_start|>"},
         "<|im_start|>system\n",
         "<|im_end|>"},
        {"<|start_header_id|>",
         "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n"
         "{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
         {"<|eot_id|>", "<|start_header_id|>"},
         "<|start_header_id|>system<|end_header_id|>\n\n",
         "<|eot_id|>"},
        {"<start_of_turn>",
         "{{- range .Messages }}<start_of_turn>{{ if eq .Role \"assistant\" }}model{{ else }}user"
         "{{ end }}\n{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n",
         {"<end_of_turn>", "<start_of_turn>"},
         "",
         ""},
        {"<|assistant|>",
         "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
         {"<|end|>", "<|user|>", "<|assistant|>"},
         "<|system|>\n",
         "<|end|>"},
        {"[INST]",
         "{{- range .Messages }}{{ if eq .Role \"assistant\" }} {{ .Content }}</s>{{ else }}"
         "[INST] {{ .Content }} [/INST]{{ end }}{{ end }}",
         {"</s>", "[INST]"},
         "",
         ""},
    };
    return known;
}

/// A conversation of one question in the model's own form.
Result<std::string> rendered(const text::ChatTemplate& chat)
{
    const auto segments = chat.render({{{"role", "user"}, {"content", "?"}}}, {true});
    if (!segments)
        return segments.error();
    return text::joined(*segments);
}

/// Three quotes end a text in a Modelfile, so none may be inside.
std::string block(std::string_view text)
{
    std::string out(text);
    for (auto at = out.find("\"\"\""); at != std::string::npos; at = out.find("\"\"\""))
        out.replace(at, 3, "''");
    return "\"\"\"" + out + "\"\"\"";
}

/// The standing instruction that the conversation form puts in when nobody gives one.
std::string instructionIn(const std::string& conversation, const Form& form)
{
    const auto start =
        form.systemStart.empty() ? std::string::npos : conversation.find(form.systemStart);
    if (start == std::string::npos)
        return {};
    const auto first = start + form.systemStart.size();
    return trimmed(conversation.substr(first, conversation.find(form.systemEnd, first) - first));
}

Result<std::string> conversationPart(const fs::path& folder)
{
    const auto chat = text::ChatTemplate::load(folder);
    if (!chat && chat.error().code == ErrorCode::NotFound)
        return fmt::format("TEMPLATE {}\n", block("{{ .Prompt }}"));
    if (!chat)
        return chat.error();
    const auto conversation = rendered(**chat);
    if (!conversation)
        return conversation.error();
    const auto form = std::ranges::find_if(forms(), [&](const Form& each) {
        return conversation->find(each.sign) != std::string::npos;
    });
    if (form == forms().end())
        return Error{
            ErrorCode::Unsupported,
            "the model's conversation form is none of those that can be written for Ollama "
            "(ChatML, Llama 3, Gemma, Phi-3, Mistral)",
            folder.string(), "Write a GGUF file instead; newer programs read the form in it"};
    std::string out = fmt::format("TEMPLATE {}\n", block(form->form));
    if (const auto instruction = instructionIn(*conversation, *form); !instruction.empty())
        out += fmt::format("SYSTEM {}\n", block(instruction));
    for (const auto stop : form->stops)
        out += fmt::format("PARAMETER stop \"{}\"\n", stop);
    return out;
}

/// Sampling as generation_config.json states it, and the length of the context.
std::string parameters(const fs::path& folder, const ModelConfig& config)
{
    std::string out =
        fmt::format("PARAMETER num_ctx {}\n", std::min(config.maxPositions, kMaxContext));
    const auto stated = readJsonFile(folder / "generation_config.json", 1 << 20);
    if (!stated || !stated->is_object())
        return out;
    for (const auto& [key, name] :
         {std::pair{"temperature", "temperature"}, std::pair{"top_p", "top_p"},
          std::pair{"top_k", "top_k"}, std::pair{"repetition_penalty", "repeat_penalty"}}) {
        const auto value = stated->find(key);
        if (value != stated->end() && value->is_number())
            out += fmt::format("PARAMETER {} {}\n", name, value->dump());
    }
    return out;
}

} // namespace

Result<void> writeOllamaFiles(const fs::path& folder, const std::string& ggufName,
                              const fs::path& target)
{
    const auto config = readModelConfig(folder);
    if (!config)
        return config.error();
    const auto conversation = conversationPart(folder);
    if (!conversation)
        return conversation.error();
    std::string modelfile =
        fmt::format("FROM ./{}\n{}{}", ggufName, *conversation, parameters(folder, *config));
    if (const auto licence = readModelCard(folder).licence; !licence.empty())
        modelfile += fmt::format("LICENSE {}\n", block(licence));
    if (auto written = writeFileAtomically(target / "Modelfile", modelfile); !written)
        return written;
    const std::string name = target.filename().string();
    return writeFileAtomically(
        target / "README.md",
        fmt::format("# {}\n\nIn this folder:\n\n```\nollama create {} -f Modelfile\nollama run "
                    "{}\n```\n",
                    name, name, name));
}

} // namespace fettle::model
