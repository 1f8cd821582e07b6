#include "text/gguf_tokenizer.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::text {

namespace {

enum TokenType
{
    kControl = 3,
    kUserDefined = 4
};

constexpr const char* kLlamaPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepSeekWords =
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";

/// How the text is cut for one value of tokenizer.ggml.pre.
struct PreForm
{
    std::vector<std::string> patterns; // Splits in order; none: the pattern of ByteLevel
    bool digitsFirst = false;          // every digit alone, before anything else
    bool digitsLast = false;
    bool nfc = false;
    bool ignoreMerges = false;
    bool addBos = false; // when the file does not say
};

Error problem(ErrorCode code, std::string what, const char* key, std::string remedy)
{
    return {code, std::move(what), key, std::move(remedy)};
}

std::optional<PreForm> preForm(const std::string& pre)
{
    const auto is = [&](std::initializer_list<const char*> names) {
        return std::any_of(names.begin(), names.end(),
                           [&](const char* name) { return pre == name; });
    };
    PreForm form;
    if (is({"gpt-2", "phi-2", "mpt", "olmo", "jais"}))
        return form;
    if (is({"smollm", "starcoder", "refact", "command-r"})) {
        form.digitsFirst = true;
        return form;
    }
    if (is({"llama-bpe", "llama3", "llama-v3"})) {
        form.patterns = {kLlamaPattern};
        form.ignoreMerges = form.addBos = true;
        return form;
    }
    if (is({"qwen2", "deepseek-r1-qwen"})) {
        form.patterns = {kQwen2Pattern};
        form.nfc = true;
        return form;
    }
    if (is({"qwen35"})) {
        form.patterns = {kQwen35Pattern};
        form.nfc = true;
        return form;
    }
    if (is({"deepseek-coder"})) {
        form.patterns = {
            "[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
            "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+"};
        form.digitsLast = true;
        return form;
    }
    if (is({"deepseek-v3"})) {
        form.patterns = {
            R"(\p{N}{1,3})",
            "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+",
            kDeepSeekWords};
        return form;
    }
    return std::nullopt;
}

Json preTokenizer(const PreForm& form)
{
    Json list = Json::array();
    const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
    if (form.digitsFirst)
        list.push_back(digits);
    for (const std::string& pattern : form.patterns)
        list.push_back({{"type", "Split"},
                        {"pattern", {{"Regex", pattern}}},
                        {"behavior", "Isolated"},
                        {"invert", false}});
    if (form.digitsLast)
        list.push_back(digits);
    list.push_back({{"type", "ByteLevel"},
                    {"add_prefix_space", false},
                    {"trim_offsets", true},
                    {"use_regex", form.patterns.empty()}});
    return list.size() == 1 ? list[0] : Json{{"type", "Sequence"}, {"pretokenizers", list}};
}

Result<void> check(const GgufTokenizer& gguf)
{
    constexpr const char* kFetchAgain = "Fetch the file again";
    if (gguf.tokens.empty())
        return problem(ErrorCode::InvalidInput, "the list of tokens is missing or empty",
                       "tokenizer.ggml.tokens", kFetchAgain);
    if (!gguf.tokenTypes.empty() && gguf.tokenTypes.size() != gguf.tokens.size())
        return problem(ErrorCode::InvalidInput,
                       fmt::format("there are {} types for {} tokens", gguf.tokenTypes.size(),
                                   gguf.tokens.size()),
                       "tokenizer.ggml.token_type", kFetchAgain);
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
        if (!isValidUtf8(gguf.tokens[i]))
            return problem(ErrorCode::InvalidInput, fmt::format("token {} is not valid UTF-8", i),
                           "tokenizer.ggml.tokens", kFetchAgain);
        const auto [other, isNew] = seen.emplace(gguf.tokens[i], i);
        if (!isNew)
            return problem(ErrorCode::InvalidInput,
                           fmt::format("the tokens {} and {} are the same", other->second, i),
                           "tokenizer.ggml.tokens", kFetchAgain);
    }
    for (std::size_t i = 0; i < gguf.merges.size(); ++i) {
        if (!isValidUtf8(gguf.merges[i]))
            return problem(ErrorCode::InvalidInput, fmt::format("merge {} is not valid UTF-8", i),
                           "tokenizer.ggml.merges", kFetchAgain);
    }
    if (gguf.merges.empty())
        return problem(ErrorCode::InvalidInput, "the list of merges is missing",
                       "tokenizer.ggml.merges", kFetchAgain);
    if (!isValidUtf8(gguf.chatTemplate))
        return problem(ErrorCode::InvalidInput, "the chat template is not valid UTF-8",
                       "tokenizer.chat_template", kFetchAgain);
    const std::array ids = {gguf.bosId, gguf.eosId, gguf.unkId, gguf.padId};
    for (const auto& id : ids) {
        if (id && (*id < 0 || static_cast<std::size_t>(*id) >= gguf.tokens.size()))
            return problem(ErrorCode::InvalidInput,
                           fmt::format("a special token has the number {}, there are {} tokens",
                                       *id, gguf.tokens.size()),
                           "tokenizer.ggml.*_token_id", kFetchAgain);
    }
    return {};
}

Json addedTokens(const GgufTokenizer& gguf)
{
    Json added = Json::array();
    for (std::size_t i = 0; i < gguf.tokenTypes.size(); ++i) {
        const auto type = gguf.tokenTypes[i];
        if (type != kControl && type != kUserDefined)
            continue;
        added.push_back({{"id", i},
                         {"content", gguf.tokens[i]},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false},
                         {"normalized", false},
                         {"special", type == kControl}});
    }
    return added;
}

Json tokenizerConfig(const GgufTokenizer& gguf, bool addBos)
{
    // The general class: classes named after a model family rebuild the pre-tokenizer by their own
    // rule.
    Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"clean_up_tokenization_spaces", false},
                   {"add_prefix_space", false},
                   {"add_bos_token", addBos},
                   {"add_eos_token", gguf.addEos.value_or(false)}};
    const auto role = [&](const char* key, const std::optional<std::int64_t>& id) {
        if (id)
            config[key] = gguf.tokens[static_cast<std::size_t>(*id)];
    };
    role("bos_token", gguf.bosId);
    role("eos_token", gguf.eosId);
    role("unk_token", gguf.unkId);
    role("pad_token", gguf.padId);
    if (gguf.contextLength && *gguf.contextLength > 0)
        config["model_max_length"] = *gguf.contextLength;
    return config;
}

} // namespace

Result<Json> tokenizerJsonFromGguf(const GgufTokenizer& gguf)
{
    if (gguf.model != "gpt2")
        return problem(ErrorCode::Unsupported,
                       fmt::format("the tokenizer model \"{}\" is not known here", gguf.model),
                       "tokenizer.ggml.model", "Import the model's Hugging Face folder instead");
    const auto form = preForm(gguf.pre);
    if (!form)
        return problem(ErrorCode::Unsupported,
                       fmt::format("the pre-tokenizer \"{}\" is not known here", gguf.pre),
                       "tokenizer.ggml.pre", "Import the model's Hugging Face folder instead");
    if (auto checked = check(gguf); !checked)
        return checked.error();
    const bool addBos = gguf.addBos.value_or(form->addBos) && gguf.bosId.has_value();
    Json vocab = Json::object();
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i)
        vocab[gguf.tokens[i]] = i;
    Json post = {{"type", "ByteLevel"},
                 {"add_prefix_space", false},
                 {"trim_offsets", false},
                 {"use_regex", true}};
    if (addBos) {
        const std::string& bos = gguf.tokens[static_cast<std::size_t>(*gguf.bosId)];
        const Json first = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
        const Json a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                   b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
        const Json again = {{"SpecialToken", {{"id", bos}, {"type_id", 1}}}};
        post = {
            {"type", "TemplateProcessing"},
            {"single", Json::array({first, a})},
            {"pair", Json::array({first, a, again, b})},
            {"special_tokens", {{bos, {{"id", bos}, {"ids", {*gguf.bosId}}, {"tokens", {bos}}}}}}};
    }
    Json model = {{"type", "BPE"},
                  {"dropout", nullptr},
                  {"unk_token", nullptr},
                  {"continuing_subword_prefix", nullptr},
                  {"end_of_word_suffix", nullptr},
                  {"fuse_unk", false},
                  {"byte_fallback", false},
                  {"ignore_merges", form->ignoreMerges}};
    model["vocab"] = std::move(vocab);
    model["merges"] = gguf.merges;
    Json tokenizer = {{"version", "1.0"},
                      {"truncation", nullptr},
                      {"padding", nullptr},
                      {"normalizer", form->nfc ? Json{{"type", "NFC"}} : Json()},
                      {"pre_tokenizer", preTokenizer(*form)},
                      {"post_processor", post},
                      {"decoder",
                       {{"type", "ByteLevel"},
                        {"add_prefix_space", true},
                        {"trim_offsets", true},
                        {"use_regex", true}}}};
    tokenizer["added_tokens"] = addedTokens(gguf);
    tokenizer["model"] = std::move(model);
    Json files = {{"tokenizer_config.json", tokenizerConfig(gguf, addBos)}};
    files["tokenizer.json"] = std::move(tokenizer);
    if (!gguf.chatTemplate.empty())
        files["chat_template.jinja"] = gguf.chatTemplate;
    return files;
}

} // namespace fettle::text
