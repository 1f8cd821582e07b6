#include "text/gguf_models.h"

#include "base/text.h"
#include "text/base64.h"
#include "text/gguf_pre_tokenizers.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::text {

namespace {

constexpr const char* kSpace = "\xE2\x96\x81"; // U+2581

Error missing(const char* what, const char* key)
{
    return {ErrorCode::InvalidInput, fmt::format("the list of {} is missing", what), key,
            "Fetch the file again"};
}

bool isType(const GgufTokenizer& gguf, std::size_t id, std::int32_t type)
{
    return id < gguf.tokenTypes.size() && gguf.tokenTypes[id] == type;
}

/// Tokens that are found in the text as they stand. `withUnknown`: also the unknown token, which
/// has no other way into a text.
Json addedTokens(const GgufTokenizer& gguf, bool withUnknown)
{
    Json added = Json::array();
    for (std::size_t i = 0; i < gguf.tokenTypes.size(); ++i) {
        const bool unknown = withUnknown && isType(gguf, i, kGgufUnknown);
        const bool control = isType(gguf, i, kGgufControl) || unknown;
        if (!control && !isType(gguf, i, kGgufUserDefined))
            continue;
        added.push_back({{"id", i},
                         {"content", gguf.tokens[i]},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false},
                         {"normalized", false},
                         {"special", control}});
    }
    return added;
}

Json vocabularyOf(const GgufTokenizer& gguf)
{
    Json vocab = Json::object();
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i)
        vocab[gguf.tokens[i]] = i;
    return vocab;
}

/// What stands around every text; `nothing` when that is nothing.
Json surround(const GgufTokenizer& gguf, Json nothing)
{
    const auto around = surroundOf(gguf);
    if (!around.before && !around.after)
        return nothing;
    Json single = Json::array(), pair = Json::array(), tokens = Json::object();
    const auto add = [&](Json& list, std::optional<std::int64_t> id, int type) {
        if (!id)
            return;
        const std::string& token = gguf.tokens[static_cast<std::size_t>(*id)];
        list.push_back({{"SpecialToken", {{"id", token}, {"type_id", type}}}});
        tokens[token] = {{"id", token}, {"ids", {*id}}, {"tokens", {token}}};
    };
    const bool bert = gguf.model == "bert"; // one [CLS] for both texts
    const Json a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
               b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
    add(single, around.before, 0);
    single.push_back(a);
    add(single, around.after, 0);
    pair = single;
    add(pair, bert ? std::nullopt : around.before, 1);
    pair.push_back(b);
    add(pair, around.after, 1);
    return {{"type", "TemplateProcessing"},
            {"single", single},
            {"pair", pair},
            {"special_tokens", tokens}};
}

Json assembled(Json normalizer, Json preTokenizer, Json post, Json decoder, Json added, Json model)
{
    Json tokenizer = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
    tokenizer["normalizer"] = std::move(normalizer);
    tokenizer["pre_tokenizer"] = std::move(preTokenizer);
    tokenizer["post_processor"] = std::move(post);
    tokenizer["decoder"] = std::move(decoder);
    tokenizer["added_tokens"] = std::move(added);
    tokenizer["model"] = std::move(model);
    return tokenizer;
}

Json sequence(const char* children, Json parts)
{
    return parts.empty()       ? Json()
           : parts.size() == 1 ? parts[0]
                               : Json{{"type", "Sequence"}, {children, parts}};
}

Json replace(Json pattern, const char* content)
{
    return {{"type", "Replace"}, {"pattern", std::move(pattern)}, {"content", content}};
}

Json bpeModel(const GgufTokenizer& gguf, bool byteFallback, Json merges)
{
    Json model = {{"type", "BPE"},
                  {"dropout", nullptr},
                  {"continuing_subword_prefix", nullptr},
                  {"end_of_word_suffix", nullptr},
                  {"fuse_unk", byteFallback},
                  {"byte_fallback", byteFallback},
                  {"ignore_merges", false}};
    const bool unknown = byteFallback && gguf.unkId;
    model["unk_token"] =
        unknown ? Json(gguf.tokens[static_cast<std::size_t>(*gguf.unkId)]) : Json();
    model["vocab"] = vocabularyOf(gguf);
    model["merges"] = std::move(merges);
    return model;
}

/// BPE over characters with the space as U+2581: the forms of Llama 2 and Gemma.
Json spacedBpe(const GgufTokenizer& gguf, Json merges, bool prefix)
{
    Json normal = Json::array();
    if (prefix)
        normal.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    normal.push_back(replace({{"String", " "}}, kSpace));
    Json decoders = {
        replace({{"String", kSpace}}, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
    if (prefix)
        decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    return assembled(sequence("normalizers", normal), nullptr, surround(gguf, nullptr),
                     sequence("decoders", decoders), addedTokens(gguf, true),
                     bpeModel(gguf, true, std::move(merges)));
}

/// A merge that a score stands for: `left` and `right` make `whole`.
struct ScoredMerge
{
    float score;
    std::size_t left, right;
};

/// Every way in which two tokens make a third one, the best score first.
std::vector<ScoredMerge> mergesOf(const GgufTokenizer& gguf)
{
    std::unordered_map<std::string_view, std::size_t> ids;
    const auto mergeable = [&](std::size_t id) {
        return gguf.tokenTypes.empty() || isType(gguf, id, kGgufNormal);
    };
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
        if (mergeable(i))
            ids.emplace(gguf.tokens[i], i);
    }
    std::vector<ScoredMerge> merges;
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
        if (!mergeable(i))
            continue;
        const std::string_view whole = gguf.tokens[i];
        const std::size_t first = merges.size();
        for (std::size_t cut = 1; cut < std::min<std::size_t>(whole.size(), 512); ++cut) {
            if ((static_cast<unsigned char>(whole[cut]) & 0xC0) == 0x80)
                continue; // inside a character
            const auto left = ids.find(whole.substr(0, cut)), right = ids.find(whole.substr(cut));
            if (left != ids.end() && right != ids.end())
                merges.push_back({gguf.scores[i], left->second, right->second});
        }
        std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
                  [](const auto& a, const auto& b) {
                      return std::pair(a.left, a.right) < std::pair(b.left, b.right);
                  });
    }
    std::stable_sort(merges.begin(), merges.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
    return merges;
}

} // namespace

Result<Json> byteLevelFromGguf(const GgufTokenizer& gguf)
{
    const auto* pre = ggufPreTokenizer(gguf.pre);
    if (!pre)
        return Error{
            ErrorCode::Unsupported,
            fmt::format("the pre-tokenizer \"{}\" is not known here", quotable(gguf.pre, 60)),
            "tokenizer.ggml.pre", "Import the model's Hugging Face folder instead"};
    if (gguf.merges.empty())
        return missing("merges", "tokenizer.ggml.merges");
    Json model = bpeModel(gguf, false, gguf.merges);
    model["ignore_merges"] = pre->ignoreMerges;
    const Json nothing = {{"type", "ByteLevel"},
                          {"add_prefix_space", false},
                          {"trim_offsets", false},
                          {"use_regex", true}};
    return assembled(pre->nfc ? Json{{"type", "NFC"}} : Json(), preTokenizerJson(*pre),
                     surround(gguf, nothing),
                     {{"type", "ByteLevel"},
                      {"add_prefix_space", true},
                      {"trim_offsets", true},
                      {"use_regex", true}},
                     addedTokens(gguf, false), std::move(model));
}

Result<Json> scoredFromGguf(const GgufTokenizer& gguf)
{
    if (gguf.scores.empty())
        return missing("scores", "tokenizer.ggml.scores");
    Json merges = Json::array();
    for (const auto& merge : mergesOf(gguf))
        merges.push_back({gguf.tokens[merge.left], gguf.tokens[merge.right]});
    return spacedBpe(gguf, std::move(merges), gguf.addSpacePrefix.value_or(true));
}

Result<Json> mergedFromGguf(const GgufTokenizer& gguf)
{
    if (gguf.merges.empty())
        return missing("merges", "tokenizer.ggml.merges");
    return spacedBpe(gguf, gguf.merges, gguf.addSpacePrefix.value_or(false));
}

Result<Json> unigramFromGguf(const GgufTokenizer& gguf)
{
    if (gguf.scores.empty())
        return missing("scores", "tokenizer.ggml.scores");
    if (!gguf.unkId)
        return missing("unknown tokens", "tokenizer.ggml.unknown_token_id");
    Json vocab = Json::array();
    bool bytes = false;
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
        vocab.push_back({gguf.tokens[i], gguf.scores[i]});
        bytes = bytes || isType(gguf, i, kGgufByte);
    }
    Json normal = Json::array();
    if (!gguf.charsmap.empty())
        normal.push_back(
            {{"type", "Precompiled"}, {"precompiled_charsmap", toBase64(gguf.charsmap)}});
    const bool single = gguf.removeExtraSpaces.value_or(false);
    if (single) {
        normal.push_back(replace({{"Regex", kGgufOuterSpaces}}, ""));
        normal.push_back(replace({{"Regex", " {2,}"}}, " "));
    }
    const bool prefix = gguf.addSpacePrefix.value_or(true);
    const Json space = {{"type", "Metaspace"},
                        {"replacement", kSpace},
                        {"prepend_scheme", prefix ? "always" : "never"},
                        {"split", true}};
    Json model = {{"type", "Unigram"}, {"unk_id", *gguf.unkId}, {"byte_fallback", bytes}};
    model["vocab"] = std::move(vocab);
    return assembled(sequence("normalizers", normal), space, surround(gguf, nullptr), space,
                     addedTokens(gguf, true), std::move(model));
}

std::string ggufWordPiece(const std::string& piece)
{
    return piece.starts_with("##") ? piece.substr(2) : kSpace + piece;
}

Result<Json> wordPieceFromGguf(const GgufTokenizer& gguf)
{
    if (!gguf.unkId)
        return missing("unknown tokens", "tokenizer.ggml.unknown_token_id");
    // The way back from ggufWordPiece().
    Json vocab = Json::object();
    for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
        const auto& token = gguf.tokens[i];
        const bool word = token.starts_with(kSpace);
        const bool plain = isType(gguf, i, kGgufNormal) || gguf.tokenTypes.empty();
        const bool special =
            !plain || (token.size() > 2 && token.front() == '[' && token.back() == ']');
        vocab[word ? token.substr(3) : special ? token : "##" + token] = i;
    }
    if (vocab.size() != gguf.tokens.size())
        return Error{ErrorCode::InvalidInput, "two tokens are the same piece of a word",
                     "tokenizer.ggml.tokens", "Fetch the file again"};
    Json model = {{"type", "WordPiece"},
                  {"unk_token", gguf.tokens[static_cast<std::size_t>(*gguf.unkId)]},
                  {"continuing_subword_prefix", "##"},
                  {"max_input_chars_per_word", 100}};
    model["vocab"] = std::move(vocab);
    return assembled({{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"handle_chinese_chars", true},
                      {"strip_accents", gguf.stripAccents ? Json(*gguf.stripAccents) : Json()},
                      {"lowercase", gguf.lowercase.value_or(true)}},
                     {{"type", "BertPreTokenizer"}}, surround(gguf, nullptr),
                     {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}},
                     addedTokens(gguf, true), std::move(model));
}

} // namespace fettle::text
