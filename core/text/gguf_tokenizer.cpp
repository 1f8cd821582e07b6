#include "text/gguf_tokenizer.h"

#include "base/text.h"
#include "text/gguf_models.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::text {

namespace {

constexpr const char* kFetchAgain = "Fetch the file again";

Error problem(ErrorCode code, std::string what, const char* key, std::string remedy)
{
    return {code, std::move(what), key, std::move(remedy)};
}

Result<void> checkTexts(const std::vector<std::string>& texts, const char* what, const char* key)
{
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (!isValidUtf8(texts[i]))
            return problem(ErrorCode::InvalidInput,
                           fmt::format("{} {} is not valid UTF-8", what, i), key, kFetchAgain);
    }
    return {};
}

Result<void> checkTokens(const GgufTokenizer& gguf)
{
    constexpr const char* kKey = "tokenizer.ggml.tokens";
    if (gguf.tokens.empty())
        return problem(ErrorCode::InvalidInput, "the list of tokens is missing or empty", kKey,
                       kFetchAgain);
    if (auto fine = checkTexts(gguf.tokens, "token", kKey); !fine)
        return fine;
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
        const auto [other, isNew] = seen.emplace(gguf.tokens[i], i);
        if (!isNew)
            return problem(ErrorCode::InvalidInput,
                           fmt::format("the tokens {} and {} are the same", other->second, i), kKey,
                           kFetchAgain);
    }
    return {};
}

Result<void> check(const GgufTokenizer& gguf)
{
    if (auto fine = checkTokens(gguf); !fine)
        return fine;
    const auto lengths = [&](std::size_t size, const char* what, const char* key) -> Result<void> {
        if (size == 0 || size == gguf.tokens.size())
            return {};
        return problem(ErrorCode::InvalidInput,
                       fmt::format("there are {} {} for {} tokens", size, what, gguf.tokens.size()),
                       key, kFetchAgain);
    };
    if (auto fine = lengths(gguf.tokenTypes.size(), "types", "tokenizer.ggml.token_type"); !fine)
        return fine;
    if (auto fine = lengths(gguf.scores.size(), "scores", "tokenizer.ggml.scores"); !fine)
        return fine;
    if (auto fine = checkTexts(gguf.merges, "merge", "tokenizer.ggml.merges"); !fine)
        return fine;
    if (!isValidUtf8(gguf.chatTemplate))
        return problem(ErrorCode::InvalidInput, "the chat template is not valid UTF-8",
                       "tokenizer.chat_template", kFetchAgain);
    for (const auto& id :
         {gguf.bosId, gguf.eosId, gguf.unkId, gguf.padId, gguf.sepId, gguf.clsId, gguf.maskId}) {
        if (id && (*id < 0 || static_cast<std::size_t>(*id) >= gguf.tokens.size()))
            return problem(ErrorCode::InvalidInput,
                           fmt::format("a special token has the number {}, there are {} tokens",
                                       *id, gguf.tokens.size()),
                           "tokenizer.ggml.*_token_id", kFetchAgain);
    }
    return {};
}

Json tokenizerConfig(const GgufTokenizer& gguf, bool addBos, bool addEos)
{
    // The general class: classes named after a model family rebuild the pre-tokenizer by their own
    // rule.
    Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"clean_up_tokenization_spaces", false},
                   {"add_prefix_space", false},
                   {"add_bos_token", addBos},
                   {"add_eos_token", addEos}};
    const auto role = [&](const char* key, const std::optional<std::int64_t>& id) {
        if (id)
            config[key] = gguf.tokens[static_cast<std::size_t>(*id)];
    };
    role("bos_token", gguf.bosId);
    role("eos_token", gguf.eosId);
    role("unk_token", gguf.unkId);
    role("pad_token", gguf.padId);
    role("sep_token", gguf.sepId);
    role("cls_token", gguf.clsId);
    role("mask_token", gguf.maskId);
    if (gguf.contextLength && *gguf.contextLength > 0)
        config["model_max_length"] = *gguf.contextLength;
    return config;
}

/// The tokenizer.json that the file carries, when it names the same tokens; nothing otherwise.
std::optional<Json> carried(const GgufTokenizer& gguf)
{
    if (gguf.huggingFace.empty())
        return std::nullopt;
    auto json = parseJson(gguf.huggingFace, "tokenizer.huggingface.json");
    if (!json)
        return std::nullopt;
    const auto tokenizer = JsonTokenizer::fromJson(*json);
    if (!tokenizer || (*tokenizer)->vocabSize() > static_cast<std::int64_t>(gguf.tokens.size()))
        return std::nullopt;
    for (std::int64_t id = 0; id < (*tokenizer)->vocabSize(); ++id) {
        const auto token = (*tokenizer)->tokenOf(static_cast<TokenId>(id));
        const auto& stored = gguf.tokens[static_cast<std::size_t>(id)];
        const bool piece = gguf.model == "bert" && stored == ggufWordPiece(std::string(token));
        if (!token.empty() && token != stored && !piece)
            return std::nullopt;
    }
    return *std::move(json);
}

Result<Json> derived(const GgufTokenizer& gguf)
{
    if (gguf.model == "gpt2")
        return byteLevelFromGguf(gguf);
    if (gguf.model == "llama")
        return scoredFromGguf(gguf);
    if (gguf.model == "gemma4")
        return mergedFromGguf(gguf);
    if (gguf.model == "t5")
        return unigramFromGguf(gguf);
    if (gguf.model == "bert")
        return wordPieceFromGguf(gguf);
    return problem(
        ErrorCode::Unsupported,
        fmt::format("the tokenizer model \"{}\" is not known here", quotable(gguf.model, 60)),
        "tokenizer.ggml.model", "Import the model's Hugging Face folder instead");
}

} // namespace

GgufSurround surroundOf(const GgufTokenizer& gguf)
{
    const auto* pre = gguf.model == "gpt2" ? ggufPreTokenizer(gguf.pre) : nullptr;
    const bool bert = gguf.model == "bert", unigram = gguf.model == "t5";
    const bool bos = gguf.addBos.value_or(bert || gguf.model == "llama" || gguf.model == "gemma4" ||
                                          (pre && pre->addBos));
    const bool eos = gguf.addEos.value_or(bert || unigram);
    GgufSurround out;
    if (bos)
        out.before = bert && !gguf.bosId ? gguf.clsId : gguf.bosId;
    if (eos)
        out.after = bert && gguf.sepId ? gguf.sepId : gguf.eosId;
    return out;
}

Result<Json> tokenizerJsonFromGguf(const GgufTokenizer& gguf)
{
    if (auto checked = check(gguf); !checked)
        return checked.error();
    auto tokenizer = carried(gguf);
    if (!tokenizer) {
        auto made = derived(gguf);
        if (!made)
            return made.error();
        tokenizer = *std::move(made);
    }
    const auto around = surroundOf(gguf);
    Json files = {{"tokenizer_config.json",
                   tokenizerConfig(gguf, around.before.has_value(), around.after.has_value())}};
    files["tokenizer.json"] = *std::move(tokenizer);
    if (!gguf.chatTemplate.empty())
        files["chat_template.jinja"] = gguf.chatTemplate;
    return files;
}

} // namespace fettle::text
