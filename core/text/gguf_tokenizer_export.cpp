#include "text/chat_template.h"
#include "text/gguf_models.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/vocab_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::text {

namespace fs = std::filesystem;

namespace {

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
        if (auto placed =
                placeGgufToken(out, static_cast<std::int64_t>(id), piece.text, piece.type);
            !placed)
            return placed;
        out.scores[id] = piece.score;
    }
    return {};
}

/// What stands in front of every text and behind it: in such files at most the token that begins
/// and the one that ends.
Result<void> placeAround(const Tokenizer& tokenizer, GgufTokenizer& out)
{
    const auto plain = tokenizer.encode("a"),
               full = tokenizer.encode("a", {.addSpecialTokens = true});
    const auto text = std::search(full.begin(), full.end(), plain.begin(), plain.end());
    const auto front = text - full.begin();
    const auto behind = text == full.end() ? 0 : full.end() - text - std::ssize(plain);
    const auto place = [](std::span<const TokenId> ids, std::optional<std::int64_t>& role) {
        if (ids.size() > 1 || (ids.size() == 1 && role && *role != ids[0]))
            return false;
        if (ids.size() == 1)
            role = ids[0];
        return true;
    };
    const bool bert = out.model == "bert"; // whose last token is one of its own
    if (!place(std::span(full).first(static_cast<std::size_t>(front)), out.bosId) ||
        !place(std::span(full).last(static_cast<std::size_t>(behind)),
               bert ? out.sepId : out.eosId))
        return cannotSay("tokens around every text other than the first and the last one of the "
                         "tokenizer");
    if (bert && (front == 0 || behind == 0))
        return cannotSay("WordPiece without a token in front of every text and one behind it");
    out.addBos = front > 0;
    out.addEos = behind > 0;
    return {};
}

/// Special ids, what stands around a text, and the tokens that end an answer.
Result<void> placeRoles(const Tokenizer& tokenizer, const Json& config, const Json& map,
                        std::span<const std::int32_t> endIds, GgufTokenizer& out)
{
    out.bosId = tokenizer.bosId;
    out.eosId = tokenizer.eosId;
    out.padId = tokenizer.padId;
    if (tokenizer.unkId)
        out.unkId = tokenizer.unkId;
    if (!out.eosId && !endIds.empty())
        out.eosId = endIds[0];
    for (const auto& [key, member] : {std::pair{"sep_token", &GgufTokenizer::sepId},
                                      std::pair{"cls_token", &GgufTokenizer::clsId},
                                      std::pair{"mask_token", &GgufTokenizer::maskId}}) {
        std::string text = tokenText(config, key);
        if (text.empty())
            text = tokenText(map, key);
        if (!text.empty())
            out.*member = tokenizer.idOf(text);
    }
    if (auto placed = placeAround(tokenizer, out); !placed)
        return placed;
    if (!out.bosId && out.model != "t5")
        out.bosId = out.eosId; // readers would take number 11 otherwise
    for (const auto id : endIds) {
        if (id == out.eosId)
            continue;
        if (!out.eotId)
            out.eotId = id;
        else if (!out.eomId)
            out.eomId = id;
    }
    const auto rows = static_cast<std::int64_t>(out.tokens.size());
    for (const auto& id : {out.bosId, out.eosId, out.unkId, out.padId, out.eotId, out.eomId,
                           out.sepId, out.clsId, out.maskId}) {
        if (id && (*id < 0 || *id >= rows))
            return Error{ErrorCode::InvalidInput,
                         fmt::format("a special token has the number {}, the model's table has {} "
                                     "rows",
                                     *id, rows),
                         "tokenizer.json", "Fetch tokenizer and weights from the same source"};
    }
    if (out.unkId && out.tokenTypes[static_cast<std::size_t>(*out.unkId)] != kGgufUserDefined &&
        out.model != "gpt2")
        out.tokenTypes[static_cast<std::size_t>(*out.unkId)] = kGgufUnknown;
    return {};
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
    const auto read = pieces.empty() ? ggufFromTokenizerJson(json, out) : fromPieces(pieces, out);
    if (!read)
        return read.error();
    if (auto placed = placeRoles(**tokenizer, config, map, endIds, out); !placed)
        return placed.error();
    if (auto fine = fillAndCheck(out); !fine)
        return fine.error();
    if (pieces.empty())
        out.huggingFace = json.dump();
    if (const auto form = ChatTemplate::load(folder))
        out.chatTemplate = (*form)->source();
    return out;
}

} // namespace fettle::text
