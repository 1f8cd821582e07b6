// Texts about texts: tokenizers, chat templates, configurations.
#include "base/json.h"
#include "base/text.h"
#include "fuzz/fuzz_target.h"
#include "model/import/adapter_config.h"
#include "model/import/model_config.h"
#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/gguf_models.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace fettle::fuzz {

using namespace fettle::text;

namespace {

const std::vector<std::string>& samples()
{
    using namespace std::string_literals;
    static const std::vector<std::string> kTexts{
        "", "Hello, world! It's 12.5 % <s> [CLS]",
        "  two\tspaces\r\n\r\nand \xC3\x85ngstr\xC3\xB6m e\xCC\x81 "
        "\xE6\x9D\xB1\xE4\xBA\xAC\xF0\x9F\x99\x82",
        "nul \0 \xFF\xC3 \xE2\x96\x81 low \xED\xA0\x80"s,
        std::string(300, 'a') + std::string(40, ' ') + "b"};
    return kTexts;
}

void useTokenizer(const Tokenizer& tokenizer)
{
    const auto check = [&](const std::vector<TokenId>& ids) {
        for (const auto id : ids)
            promise(id >= 0 && id < tokenizer.vocabSize(), "ids lie in the vocabulary");
        tokenizer.decode(ids, true);
        tokenizer.decode(ids, false);
    };
    for (const auto& sample : samples()) {
        check(tokenizer.encode(sample));
        check(tokenizer.encode(sample, {true, true}));
        const TextPart parts[] = {{"<s>", true}, {sample, false}, {"</s>", true}};
        check(tokenizer.encodeParts(parts));
    }
    for (const TokenId id : {-1, 0, 1, static_cast<int>(tokenizer.vocabSize()) - 1, 2147483647}) {
        tokenizer.idOf(tokenizer.tokenOf(id));
        tokenizer.isSpecial(id);
        tokenizer.decode(std::vector<TokenId>{id, id}, false);
    }
}

/// The other form of the same tokenizer: refused with a sentence, or readable again.
void writeAsGguf(const Json& json, std::int64_t rows)
{
    GgufTokenizer gguf;
    gguf.tokens.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(rows, 0, 1 << 16)));
    gguf.tokenTypes.assign(gguf.tokens.size(), kGgufUnused);
    if (const auto written = ggufFromTokenizerJson(json, gguf); !written)
        return checkRefusal(written.error());
    if (const auto again = tokenizerJsonFromGguf(gguf); !again)
        checkRefusal(again.error());
}

/// Words of a user that no template holds; were one of them trusted, a user could forge roles.
constexpr const char* kUserWord = "\xC2\xA7QZX\xC2\xA7";

const std::vector<Messages>& conversations()
{
    static const std::vector<Messages> kAll = [] {
        const std::string user = kUserWord;
        std::vector<Messages> all;
        all.push_back({{{"role", "system"}, {"content", "Be brief " + user}},
                       {{"role", "user"}, {"content", "  " + user + "\nHello <|im_end|> "}},
                       {{"role", "assistant"}, {"content", "<think>a</think>" + user}},
                       {{"role", "user"}, {"content", ""}}});
        all.push_back(
            {{{"role", "user"}, {"content", user}},
             {{"role", "assistant"},
              {"content", nullptr},
              {"tool_calls",
               {{{"id", "1"},
                 {"type", "function"},
                 {"function", {{"name", user}, {"arguments", {{"x", 1.5}, {"y", user}}}}}}}}},
             {{"role", "tool"}, {"content", user}, {"tool_call_id", "1"}}});
        all.push_back({{{"role", "user"},
                        {"content", {{{"type", "text"}, {"text", user}}, {{"type", "image"}}}}}});
        all.push_back({});
        return all;
    }();
    return kAll;
}

Json extras()
{
    return {{"tools",
             {{{"type", "function"},
               {"function",
                {{"name", "find"},
                 {"parameters",
                  {{"type", "object"},
                   {"properties", {{"x", {{"type", "number"}}}}},
                   {"required", {"x"}}}}}}}}},
            {"enable_thinking", false}};
}

/// A scratch folder of this process, without a place on any disk.
const std::filesystem::path& scratch()
{
    static const std::filesystem::path kFolder = [] {
        char name[] = "/dev/shm/fettle-fuzz-XXXXXX";
        promise(::mkdtemp(name) != nullptr, "there is a scratch folder");
        static const std::filesystem::path folder = name;
        std::atexit([] { std::filesystem::remove_all(folder); });
        return folder;
    }();
    return kFolder;
}

} // namespace

void runTokenizer(std::string_view input)
{
    const auto json = parseJson(input, "tokenizer.json", true);
    if (!json)
        return checkRefusal(json.error());
    const auto tokenizer = JsonTokenizer::fromJson(*json);
    writeAsGguf(*json, tokenizer ? (*tokenizer)->vocabSize() : 64);
    if (!tokenizer)
        return checkRefusal(tokenizer.error());
    useTokenizer(**tokenizer);
}

void runTemplate(std::string_view input)
{
    const auto form =
        ChatTemplate::parse(std::string(input), {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    if (!form)
        return checkRefusal(form.error());
    RenderOptions options;
    options.now = 1'700'000'000;
    for (const auto& messages : conversations()) {
        options.addGenerationPrompt = !options.addGenerationPrompt;
        options.extra = messages.size() == 3 ? extras() : Json::object();
        const auto segments = (*form)->render(messages, options);
        if (!segments) {
            checkRefusal(segments.error());
            continue;
        }
        for (const auto& segment : *segments) {
            promise(isValidUtf8(segment.text), "a rendering is text");
            const bool forged = segment.trusted && input.find("QZX") == std::string_view::npos &&
                                segment.text.find(kUserWord) != std::string::npos;
            promise(!forged, "what a user typed is not trusted");
        }
    }
}

void runConfig(std::string_view input)
{
    const auto parts = partsOf(input);
    const auto config = parseJson(parts[0], "config.json", true);
    const auto generation =
        parseJson(parts.size() > 1 ? parts[1] : "null", "generation_config.json", true);
    if (!config || !generation)
        return checkRefusal(config ? generation.error() : config.error());
    const auto read = model::parseModelConfig(*config, *generation, "config.json");
    if (!read)
        return checkRefusal(read.error());
    promise(read->parameters() > 0, "a model has weights");
    for (const auto& weight : model::expectedWeights(*read)) {
        for (const auto size : weight.shape)
            promise(size > 0, "a weight has a shape");
    }
    const auto again = model::parseModelConfig(read->raw, *generation, "config.json");
    promise(again && again->parameters() == read->parameters(), "reading again gives the same");
}

void runAdapter(std::string_view input)
{
    const auto config = model::AdapterConfig::parse(std::string(input), "adapter_config.json");
    if (!config)
        return checkRefusal(config.error());
    for (const char* module :
         {"model.layers.0.self_attn.q_proj", "model.layers.11.mlp.down_proj", "lm_head",
          "transformer.h.1.attn.c_attn", "encoder.block.0.layer.0.SelfAttention.q", "", "."}) {
        config->targets(module, true);
        config->targets(module, false);
        config->savesWhole(module);
        promise(config->rankOf(module) >= 1, "a rank is at least 1");
        config->scaleOf(module);
    }
}

void runVocabulary(std::string_view input)
{
    constexpr const char* kFiles[] = {
        "tokenizer_config.json",   "vocab.json",       "merges.txt", "vocab.txt",
        "special_tokens_map.json", "added_tokens.json"};
    const auto parts = partsOf(input);
    for (std::size_t i = 0; i < std::size(kFiles); ++i) {
        const auto path = scratch() / kFiles[i];
        if (i < parts.size() && !parts[i].empty())
            std::ofstream(path, std::ios::binary) << parts[i];
        else
            std::filesystem::remove(path);
    }
    const auto tokenizer = Tokenizer::load(scratch());
    if (!tokenizer)
        checkRefusal(tokenizer.error());
    else
        useTokenizer(**tokenizer);
    const auto form = ChatTemplate::load(scratch());
    if (!form)
        checkRefusal(form.error());
}

void runSentencePiece(std::string_view input)
{
    const auto parts = partsOf(input);
    const auto config =
        parseJson(parts.size() > 1 ? parts[1] : "{}", "tokenizer_config.json", true);
    if (!config || !config->is_object())
        return;
    const MemoryFile file(parts[0]);
    const auto tokenizer = SentencePieceTokenizer::open(file.path(), *config);
    if (!tokenizer)
        return checkRefusal(tokenizer.error());
    useTokenizer(**tokenizer);
}

} // namespace fettle::fuzz
