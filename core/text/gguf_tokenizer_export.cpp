#include "base/text.h"
#include "text/base64.h"
#include "text/chat_template.h"
#include "text/gguf_models.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/vocab_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::text {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSpace = "\xE2\x96\x81"; // U+2581
constexpr float kAddedScore = -1000;           // as other writers give tokens that no merge makes

Error cannotSay(const std::string& what)
{
    return {ErrorCode::Unsupported, "GGUF files cannot express " + what, "tokenizer.json",
            "Write the model as a Hugging Face folder instead"};
}

Json optionalJson(const fs::path& path)
{
    std::error_code ec;
    if (!fs::exists(path, ec))
        return Json::object();
    auto json = readJsonFile(path);
    return json && json->is_object() ? *std::move(json) : Json::object();
}

std::string typeOf(const Json& part)
{
    return part.is_object() ? part.value("type", "") : std::string();
}

/// Nested sequences as one list.
std::vector<Json> partsOf(const Json& part, const char* children)
{
    if (!part.is_object())
        return {};
    if (typeOf(part) != "Sequence")
        return {part};
    std::vector<Json> all;
    for (const auto& child : part.value(children, Json::array())) {
        for (auto& each : partsOf(child, children))
            all.push_back(std::move(each));
    }
    return all;
}

/// Places tokens under their ids; what is added by hand replaces what the model says.
Result<void> place(GgufTokenizer& out, std::int64_t id, const std::string& token, std::int32_t type)
{
    if (id < 0 || static_cast<std::size_t>(id) >= out.tokens.size())
        return Error{ErrorCode::InvalidInput,
                     fmt::format("a token has the number {}, the model's table has {} rows", id,
                                 out.tokens.size()),
                     "tokenizer.json", "Fetch tokenizer and weights from the same source"};
    out.tokens[static_cast<std::size_t>(id)] = token;
    out.tokenTypes[static_cast<std::size_t>(id)] = type;
    return {};
}

Result<void> placeVocabulary(const Json& model, GgufTokenizer& out)
{
    const Json vocab = model.value("vocab", Json::object());
    for (const auto& [token, id] : vocab.items()) {
        if (auto placed = place(out, id.get<std::int64_t>(), token, kGgufNormal); !placed)
            return placed;
    }
    return {};
}

Result<void> placeAdded(const Json& json, GgufTokenizer& out)
{
    std::int64_t trimming = 0;
    for (const auto& token : json.value("added_tokens", Json::array())) {
        const bool special = token.value("special", false);
        const auto id = token.at("id").get<std::int64_t>();
        if (auto placed = place(out, id, token.at("content").get<std::string>(),
                                special ? kGgufControl : kGgufUserDefined);
            !placed)
            return placed;
        if (!out.scores.empty())
            out.scores[static_cast<std::size_t>(id)] = kAddedScore;
        trimming += token.value("lstrip", false) || token.value("rstrip", false) ||
                    token.value("single_word", false);
    }
    if (trimming > 0)
        out.notes.push_back(fmt::format(
            "{} added tokens take in the white space beside them or stand only between words; "
            "programs that run GGUF files do not know that",
            trimming));
    return {};
}

/// Merges as "a b".
std::vector<std::string> mergesOf(const Json& model)
{
    std::vector<std::string> merges;
    for (const auto& merge : model.value("merges", Json::array()))
        merges.push_back(merge.is_string() ? merge.get<std::string>()
                                           : merge.at(0).get<std::string>() + " " +
                                                 merge.at(1).get<std::string>());
    return merges;
}

Result<void> byteLevel(const Json& json, GgufTokenizer& out)
{
    const auto pre = ggufPreTokenizerOf(json);
    if (!pre)
        return pre.error();
    const Json& model = json.at("model");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (!model.value(key, Json()).is_null() && model.value(key, Json()) != "")
            return cannotSay(fmt::format("the setting '{}' of the tokenizer", key));
    }
    out.model = "gpt2";
    out.pre = (*pre)->names.front();
    out.merges = mergesOf(model);
    if ((*pre)->nfc || typeOf(json.value("normalizer", Json())) == "NFC")
        out.notes.push_back("composed characters (NFC) are not made by programs that run GGUF "
                            "files: text in decomposed form gives other tokens there");
    if (auto placed = placeVocabulary(model, out); !placed)
        return placed;
    return placeAdded(json, out);
}

bool isByteToken(const std::string& token)
{
    return token.size() == 6 && token.starts_with("<0x") && token.back() == '>';
}

/// How a space is put in front of the text; nothing for another form of normalizer.
std::optional<bool> prefixOf(const Json& json)
{
    bool prefix = false, spaces = false;
    for (const auto& part : partsOf(json.value("normalizer", Json()), "normalizers")) {
        const Json pattern = part.value("pattern", Json::object());
        if (typeOf(part) == "Prepend" && part.value("prepend", "") == kSpace)
            prefix = true;
        else if (typeOf(part) == "Replace" && pattern == Json{{"String", " "}} &&
                 part.value("content", "") == kSpace)
            spaces = true;
        else
            return std::nullopt;
    }
    for (const auto& part : partsOf(json.value("pre_tokenizer", Json()), "pretokenizers")) {
        const bool never = typeOf(part) == "Split" &&
                           part.value("pattern", Json::object()) == Json{{"String", " "}};
        if (typeOf(part) == "Metaspace") {
            spaces = true;
            const bool old = part.value("add_prefix_space", true);
            prefix = prefix || (part.value("prepend_scheme", old ? "always" : "never") != "never");
        } else if (!never || !spaces) { // no space is left to split at
            return std::nullopt;
        }
    }
    return spaces ? std::optional(prefix) : std::nullopt;
}

/// BPE over characters: readers merge by the score of what is made, so a piece gets the rank of its
/// first merge as score.
Result<void> scored(const Json& json, GgufTokenizer& out)
{
    const Json& model = json.at("model");
    const auto prefix = prefixOf(json);
    if (!prefix)
        return cannotSay("this normalizer or pre-tokenizer before BPE with byte fallback");
    if (model.value("ignore_merges", false))
        return cannotSay("whole words of the vocabulary beside BPE with byte fallback");
    out.model = "llama";
    out.pre = "default";
    out.addSpacePrefix = *prefix;
    out.scores.assign(out.tokens.size(), 0);
    if (auto placed = placeVocabulary(model, out); !placed)
        return placed;
    std::unordered_map<std::string, float> ranks;
    float rank = 0;
    for (const auto& merge : mergesOf(model)) {
        const auto space = merge.find(' ');
        ranks.try_emplace(merge.substr(0, space) + merge.substr(space + 1), rank -= 1);
    }
    for (std::size_t id = 0; id < out.tokens.size(); ++id) {
        if (isByteToken(out.tokens[id]))
            out.tokenTypes[id] = kGgufByte;
        else if (const auto found = ranks.find(out.tokens[id]); found != ranks.end())
            out.scores[id] = found->second;
        else if (out.tokenTypes[id] == kGgufNormal)
            out.scores[id] = rank - 1; // a single character; never made by a merge
    }
    return placeAdded(json, out);
}

Result<void> unigram(const Json& json, GgufTokenizer& out)
{
    const Json& model = json.at("model");
    out.model = "t5";
    out.pre = "default";
    out.removeExtraSpaces = false;
    for (const auto& part : partsOf(json.value("normalizer", Json()), "normalizers")) {
        const Json pattern = part.value("pattern", Json::object());
        if (typeOf(part) == "Precompiled")
            out.charsmap = fromBase64(part.value("precompiled_charsmap", "")).value_or("");
        else if (typeOf(part) == "Replace" && pattern == Json{{"Regex", " {2,}"}})
            out.removeExtraSpaces = true;
        else if (typeOf(part) != "Strip" && pattern != Json{{"Regex", kGgufOuterSpaces}})
            return cannotSay(fmt::format("the normalizer \"{}\" before Unigram", typeOf(part)));
    }
    for (const auto& part : partsOf(json.value("pre_tokenizer", Json()), "pretokenizers")) {
        if (typeOf(part) == "Metaspace")
            out.addSpacePrefix = part.value("prepend_scheme", "always") != "never" &&
                                 part.value("add_prefix_space", true);
        else if (typeOf(part) != "WhitespaceSplit")
            return cannotSay(fmt::format("the pre-tokenizer \"{}\" before Unigram", typeOf(part)));
    }
    out.scores.assign(out.tokens.size(), 0);
    std::int64_t id = 0;
    for (const auto& piece : model.value("vocab", Json::array())) {
        const std::string token = piece.at(0).get<std::string>();
        if (auto placed = place(out, id, token, isByteToken(token) ? kGgufByte : kGgufNormal);
            !placed)
            return placed;
        out.scores[static_cast<std::size_t>(id++)] = piece.at(1).get<float>();
    }
    if (const auto unknown = model.value("unk_id", Json()); unknown.is_number_integer())
        out.unkId = unknown.get<std::int64_t>();
    return placeAdded(json, out);
}

Result<void> fromJson(const Json& json, GgufTokenizer& out)
{
    const Json& model = json.at("model");
    const std::string type = model.value("type", model.contains("merges") ? "BPE" : "");
    if (type == "Unigram")
        return unigram(json, out);
    if (type != "BPE")
        return cannotSay(
            fmt::format("a tokenizer of the kind \"{}\" in a model that writes", type));
    for (const auto& part : partsOf(json.value("pre_tokenizer", Json()), "pretokenizers")) {
        if (typeOf(part) == "ByteLevel")
            return byteLevel(json, out);
    }
    if (model.value("byte_fallback", false))
        return scored(json, out);
    return cannotSay("BPE that is neither over bytes nor falls back to them");
}

/// A sentencepiece model alone: pieces, scores and kinds as they are.
Result<void> fromPieces(const fs::path& file, GgufTokenizer& out)
{
    auto model = readSentencePieceModel(file);
    if (!model)
        return model.error();
    if (model->kind != SentencePieceModel::kBpe && model->kind != SentencePieceModel::kUnigram)
        return cannotSay("a sentencepiece model that is neither BPE nor Unigram");
    out.model = model->kind == SentencePieceModel::kBpe ? "llama" : "t5";
    out.pre = "default";
    out.addSpacePrefix = model->addDummyPrefix;
    if (out.model == "t5") {
        out.removeExtraSpaces = model->removeExtraSpaces;
        out.charsmap = model->charsmap;
    }
    if (out.model == "llama" && (model->removeExtraSpaces || !model->charsmap.empty()))
        out.notes.push_back(
            "the tokenizer rewrites text before it cuts it (runs of spaces, forms of "
            "characters); programs that run GGUF files do not");
    out.scores.assign(out.tokens.size(), 0);
    for (std::size_t id = 0; id < model->pieces.size(); ++id) {
        const auto& piece = model->pieces[id];
        if (auto placed = place(out, static_cast<std::int64_t>(id), piece.text, piece.type);
            !placed)
            return placed;
        out.scores[id] = piece.score;
    }
    return {};
}

/// Special ids, what stands around a text, and the tokens that end an answer.
void placeRoles(const Tokenizer& tokenizer, const Json& config, const Json& map,
                std::span<const std::int32_t> endIds, GgufTokenizer& out)
{
    out.bosId = tokenizer.bosId;
    out.eosId = tokenizer.eosId;
    out.padId = tokenizer.padId;
    if (tokenizer.unkId)
        out.unkId = tokenizer.unkId;
    if (!out.eosId && !endIds.empty())
        out.eosId = endIds[0];
    if (!out.bosId)
        out.bosId = out.eosId; // readers would take number 11 otherwise
    for (const auto id : endIds) {
        if (id == out.eosId)
            continue;
        if (!out.eotId)
            out.eotId = id;
        else if (!out.eomId)
            out.eomId = id;
    }
    for (const auto& [key, member] : {std::pair{"sep_token", &GgufTokenizer::sepId},
                                      std::pair{"cls_token", &GgufTokenizer::clsId},
                                      std::pair{"mask_token", &GgufTokenizer::maskId}}) {
        std::string text = tokenText(config, key);
        if (text.empty())
            text = tokenText(map, key);
        if (!text.empty())
            out.*member = tokenizer.idOf(text);
    }
    const auto around = tokenizer.encode("", {.addSpecialTokens = true});
    out.addBos = !around.empty() && out.bosId && around.front() == *out.bosId;
    out.addEos = !around.empty() && out.eosId && around.back() == *out.eosId &&
                 !(around.size() == 1 && *out.addBos);
    if (out.unkId && out.tokenTypes[static_cast<std::size_t>(*out.unkId)] != kGgufUserDefined &&
        out.model != "gpt2")
        out.tokenTypes[static_cast<std::size_t>(*out.unkId)] = kGgufUnknown;
}

/// Rows without a token get names that nothing spells; equal names would end other programs.
Result<void> fillAndCheck(GgufTokenizer& out)
{
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t id = 0; id < out.tokens.size(); ++id) {
        if (out.tokens[id].empty()) {
            out.tokens[id] = fmt::format("[PAD{}]", id);
            out.tokenTypes[id] = kGgufUnused;
        }
    }
    for (std::size_t id = 0; id < out.tokens.size(); ++id) {
        const auto [other, isNew] = seen.emplace(out.tokens[id], id);
        if (!isNew)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the tokens {} and {} are the same", other->second, id),
                         "tokenizer.json", "Fetch the tokenizer's files again"};
    }
    return {};
}

} // namespace

Result<GgufTokenizer> ggufTokenizerFrom(const fs::path& folder, std::int64_t rows,
                                        std::span<const std::int32_t> endIds)
{
    const auto tokenizer = Tokenizer::load(folder); // checks every file
    if (!tokenizer)
        return tokenizer.error();
    const Json config = optionalJson(folder / "tokenizer_config.json");
    const Json map = optionalJson(folder / "special_tokens_map.json");
    Json json = optionalJson(folder / "tokenizer.json");
    fs::path pieces;
    std::error_code ec;
    for (const char* name : {"tokenizer.model", "spiece.model"}) {
        if (json.empty() && pieces.empty() && fs::exists(folder / name, ec))
            pieces = folder / name;
    }
    if (json.empty() && pieces.empty()) {
        auto older = tokenizerJsonFromVocab(folder, config, map);
        if (!older)
            return older.error();
        json = *std::move(older);
    }
    GgufTokenizer out;
    out.tokens.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, rows)));
    out.tokenTypes.assign(out.tokens.size(), kGgufUnused);
    try {
        const auto read = pieces.empty() ? fromJson(json, out) : fromPieces(pieces, out);
        if (!read)
            return read.error();
    } catch (const Json::exception&) { // a part that the tokenizer itself does not look at
        return Error{ErrorCode::InvalidInput, "a part of the tokenizer has the wrong kind",
                     "tokenizer.json", "Fetch the tokenizer's files again"};
    }
    placeRoles(**tokenizer, config, map, endIds, out);
    if (auto fine = fillAndCheck(out); !fine)
        return fine.error();
    if (pieces.empty())
        out.huggingFace = json.dump();
    if (const auto form = ChatTemplate::load(folder))
        out.chatTemplate = (*form)->source();
    return out;
}

} // namespace fettle::text
