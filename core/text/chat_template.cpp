#include "text/chat_template.h"

#include "base/text.h"
#include "text/jinja/import.h"

#include <fmt/format.h>

namespace fettle::text {

namespace {

namespace fs = std::filesystem;

/// A message whose thought can be found under both names that templates read.
OrderedJson withThought(const OrderedJson& message)
{
    if (!message.is_object())
        return message;
    for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
        const auto found = message.find(name);
        if (found == message.end() || found->is_null())
            continue;
        OrderedJson out = {{"thinking", *found}};
        for (const auto& [key, value] : message.items())
            out[key] = value;
        out["reasoning_content"] = *found;
        return out;
    }
    return message;
}

class JinjaTemplate final : public ChatTemplate
{
public:
    JinjaTemplate(std::string source, std::shared_ptr<const jinja::Program> program,
                  Json specialTokens)
        : m_source(std::move(source))
        , m_program(std::move(program))
        , m_specialTokens(std::move(specialTokens))
    {
    }

    Result<std::vector<Segment>> render(const Messages& messages,
                                        const RenderOptions& options) const override
    {
        try {
            return segments(run(messages, options));
        } catch (const jinja::TemplateError& error) {
            const std::string place = error.line > 0
                                          ? fmt::format("chat template, line {}", error.line)
                                          : "chat template";
            return Error{ErrorCode::InvalidInput, error.what(), place,
                         "Check the order and the fields of the messages, or the model's template"};
        }
    }

    const std::string& source() const override { return m_source; }
    bool hasGenerationBlocks() const override { return m_program->hasGeneration; }

private:
    jinja::Marked run(const Messages& messages, const RenderOptions& options) const
    {
        const std::time_t now = options.now.value_or(std::time(nullptr));
        std::tm local{};
        localtime_r(&now, &local);
        jinja::Evaluator evaluator(*m_program, local);
        for (const char* name : {"bos_token", "eos_token"})
            evaluator.define(name, evaluator.text("", jinja::kTrusted));
        for (const auto& [name, text] : m_specialTokens.items()) {
            if (text.is_string())
                evaluator.define(
                    name, evaluator.text(toValidUtf8(text.get<std::string>()), jinja::kTrusted));
        }
        evaluator.define("tools", jinja::Value::none());
        evaluator.define("documents", jinja::Value::none());
        std::vector<jinja::Value> list;
        for (const OrderedJson& message : messages)
            list.push_back(jinja::fromJson(evaluator, withThought(message),
                                           static_cast<std::int32_t>(list.size())));
        evaluator.define("messages", evaluator.list(std::move(list)));
        evaluator.define("add_generation_prompt",
                         jinja::Value::boolean(options.addGenerationPrompt));
        if (options.extra.is_object()) {
            for (const auto& [name, value] : options.extra.items())
                evaluator.define(name, jinja::fromJson(evaluator, value));
        }
        return evaluator.run();
    }

    static std::vector<Segment> segments(const jinja::Marked& output)
    {
        std::vector<Segment> out;
        std::size_t at = 0;
        for (const auto& run : output.runs()) {
            const jinja::Origin& origin = run.origin;
            out.push_back({output.text().substr(at, run.end - at),
                           (origin.flags & jinja::kTrusted) != 0,
                           (origin.flags & jinja::kGeneration) != 0, origin.message, origin.turn});
            at = run.end;
        }
        return out;
    }

    std::string m_source;
    std::shared_ptr<const jinja::Program> m_program;
    Json m_specialTokens;
};

/// Texts of the keys *_token in one of the tokenizer's files.
void collectTokens(const Json& config, Json& tokens)
{
    constexpr std::string_view kEnd = "_token";
    for (const auto& [key, value] : config.items()) {
        const bool named = key.size() > kEnd.size() &&
                           key.compare(key.size() - kEnd.size(), kEnd.size(), kEnd) == 0;
        const Json& text =
            value.is_object() && value.contains("content") ? value["content"] : value;
        if (named && text.is_string() && !tokens.contains(key))
            tokens[key] = text;
    }
}

/// A string, or a list of {"name", "template"} of which "default" counts.
std::string templateIn(const Json& config)
{
    const auto found = config.find("chat_template");
    if (found == config.end())
        return {};
    if (found->is_string())
        return found->get<std::string>();
    for (const Json& entry : found->is_array() ? *found : Json::array()) {
        const bool standard = entry.is_object() && entry.value("name", Json()) == "default";
        if (standard && entry.value("template", Json()).is_string())
            return entry["template"].get<std::string>();
    }
    return {};
}

} // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::load(const fs::path& folder)
{
    std::error_code ec;
    Json config = Json::object(), tokens = Json::object();
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
        if (!fs::exists(folder / name, ec))
            continue;
        auto json = readJsonFile(folder / name);
        if (!json)
            return json.error();
        if (!json->is_object())
            return Error{ErrorCode::InvalidInput, "this is not an object", name,
                         "Fetch the tokenizer's files again"};
        collectTokens(*json, tokens);
        if (std::string_view(name) == "tokenizer_config.json")
            config = *std::move(json);
    }
    std::string source = templateIn(config);
    if (fs::exists(folder / "chat_template.jinja", ec)) {
        auto text = readFile(folder / "chat_template.jinja", jinja::kMaxSource);
        if (!text)
            return text.error();
        source = *std::move(text);
    }
    if (source.empty())
        return Error{ErrorCode::NotFound, "the folder has no chat template", folder.string(),
                     "Use data with prompt and completion, or choose a form for conversations"};
    return parse(source, tokens);
}

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(const std::string& source,
                                                                const Json& specialTokens)
{
    if (!isValidUtf8(source))
        return Error{ErrorCode::InvalidInput, "the template is not valid UTF-8", "chat template",
                     "Save it again as UTF-8"};
    try {
        auto program = jinja::parse(source);
        return std::shared_ptr<const ChatTemplate>(std::make_shared<JinjaTemplate>(
            source, std::move(program),
            specialTokens.is_object() ? specialTokens : Json::object()));
    } catch (const jinja::TemplateError& error) {
        return Error{ErrorCode::InvalidInput, error.what(),
                     fmt::format("chat template, line {}", error.line),
                     "Correct the template, or use another one for this model"};
    }
}

std::string joined(const std::vector<Segment>& segments)
{
    std::string text;
    for (const Segment& segment : segments)
        text += segment.text;
    return text;
}

std::vector<TokenId> encodeSegments(const Tokenizer& tokenizer,
                                    const std::vector<Segment>& segments)
{
    std::vector<TextPart> parts;
    for (const Segment& segment : segments)
        parts.push_back({segment.text, segment.trusted});
    return tokenizer.encodeParts(parts);
}

} // namespace fettle::text
