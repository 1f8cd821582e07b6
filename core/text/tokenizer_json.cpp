#include "text/tokenizer_json.h"

#include "base/text.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/json_parts.h"
#include "text/unigram.h"
#include "text/word_cache.h"
#include "text/word_models.h"

#include <atomic>
#include <fmt/format.h>

namespace fettle::text {

namespace {

std::uint64_t nextNumber()
{
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

template<typename Model>
Result<std::unique_ptr<TokenModel>> made(Result<std::unique_ptr<Model>> model)
{
    if (!model)
        return model.error();
    return std::unique_ptr<TokenModel>(*std::move(model));
}

/// A model without "type" comes from old files and is told by its keys.
Result<std::unique_ptr<TokenModel>> readModel(const Json& json)
{
    const JsonPart part(json, "/model");
    if (!json.is_object())
        return part.invalid("the file has no model");
    std::string type = part.type();
    if (type.empty() && !json.contains("type")) {
        type = json.contains("merges")                              ? "BPE"
               : json.contains("continuing_subword_prefix")         ? "WordPiece"
               : json.contains("vocab") && json["vocab"].is_array() ? "Unigram"
               : json.contains("vocab")                             ? "WordLevel"
                                                                    : "";
    }
    if (type == "BPE")
        return made(BpeModel::fromJson(json));
    if (type == "Unigram")
        return made(UnigramModel::fromJson(json));
    if (type == "WordPiece")
        return made(WordPieceModel::fromJson(json));
    if (type == "WordLevel")
        return made(WordLevelModel::fromJson(json));
    return part.unknown(type.empty() ? "a model without type"
                                     : fmt::format("the model \"{}\"", type));
}

} // namespace

JsonTokenizer::JsonTokenizer()
    : m_number(nextNumber())
{
}

Result<std::shared_ptr<JsonTokenizer>> JsonTokenizer::fromJson(const Json& json)
{
    const JsonPart file(json, "/");
    if (!json.is_object())
        return file.invalid("the file is not an object");
    if (const auto version = file.text("version", "1.0"); !version || *version != "1.0")
        return file.unknown("a version other than 1.0");
    std::shared_ptr<JsonTokenizer> out(new JsonTokenizer);
    auto model = readModel(file.child("model"));
    if (!model)
        return model.error();
    auto normalizers = readNormalizers(file.child("normalizer"));
    if (!normalizers)
        return normalizers.error();
    out->m_normalizers = *std::move(normalizers);
    const auto normalize = [&](const std::string& content) {
        std::string text = content;
        for (const auto& step : out->m_normalizers)
            step->apply(text);
        return text;
    };
    auto added = AddedTokens::fromJson(file.child("added_tokens"), **model, normalize);
    if (!added)
        return added.error();
    out->m_added = *std::move(added);
    if (auto* bpe = dynamic_cast<BpeModel*>(model->get()))
        bpe->forbidWhole(out->m_added.specialFlags());
    out->m_model = *std::move(model);
    auto pre = readPreTokenizers(file.child("pre_tokenizer"));
    if (!pre)
        return pre.error();
    out->m_preTokenizers = *std::move(pre);
    auto decoders = readDecoders(file.child("decoder"));
    if (!decoders)
        return decoders.error();
    out->m_decoders = *std::move(decoders);
    auto surround = readPostProcessor(file.child("post_processor"),
                                      [&](const std::string& token) { return out->idOf(token); });
    if (!surround)
        return surround.error();
    out->m_surround = *std::move(surround);
    return out;
}

std::vector<TokenId> JsonTokenizer::encode(std::string_view text, EncodeOptions options) const
{
    std::string valid;
    if (!isValidUtf8(text)) {
        valid = toValidUtf8(text);
        text = valid;
    }
    auto ids = encodeTrusted(text, options.parseSpecialTokens ? TrustedRanges::all()
                                                              : TrustedRanges::none());
    if (!options.addSpecialTokens)
        return ids;
    ids.insert(ids.begin(), m_surround.before.begin(), m_surround.before.end());
    ids.insert(ids.end(), m_surround.after.begin(), m_surround.after.end());
    if (addBos && bosId && (ids.empty() || ids.front() != *bosId))
        ids.insert(ids.begin(), *bosId);
    if (addEos && eosId && (ids.empty() || ids.back() != *eosId))
        ids.push_back(*eosId);
    return ids;
}

std::vector<TokenId> JsonTokenizer::encodeParts(std::span<const TextPart> parts) const
{
    std::string text;
    std::vector<Range> trusted;
    for (const TextPart& part : parts) {
        const std::size_t begin = text.size();
        if (isValidUtf8(part.text))
            text += part.text;
        else
            text += toValidUtf8(part.text);
        if (!part.trusted || begin == text.size())
            continue;
        if (!trusted.empty() && trusted.back().end == begin)
            trusted.back().end = text.size();
        else
            trusted.push_back({begin, text.size()});
    }
    return encodeTrusted(text, TrustedRanges(std::move(trusted)));
}

std::vector<TokenId> JsonTokenizer::encodeTrusted(std::string_view text,
                                                  const TrustedRanges& trusted) const
{
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 3);
    std::vector<TokenMatcher::Found> found;
    m_added.raw().findAll(text, 0, trusted, found);
    std::size_t last = 0;
    for (const auto& match : found) {
        encodeRest(text.substr(last, match.range.begin - last), last, trusted, ids);
        ids.push_back(match.id);
        last = match.range.end;
    }
    encodeRest(text.substr(last), last, trusted, ids);
    return ids;
}

void JsonTokenizer::encodeRest(std::string_view text, std::size_t offset,
                               const TrustedRanges& trusted, std::vector<TokenId>& ids) const
{
    if (text.empty())
        return;
    const TrustedRanges* known = &trusted;
    const TrustedRanges whole = trusted.contain({offset, offset + text.size()})
                                    ? TrustedRanges::all()
                                    : TrustedRanges::none();
    const bool atStart = offset == 0;
    std::string normalized;
    if (!m_normalizers.empty()) {
        normalized = text;
        for (const auto& step : m_normalizers)
            step->apply(normalized);
        text = normalized;
        known = &whole; // places have moved: trust the piece as a whole or not at all
    }
    if (m_added.normalized().empty()) {
        encodePlain(text, atStart, ids);
        return;
    }
    std::vector<TokenMatcher::Found> found;
    m_added.normalized().findAll(text, offset, *known, found);
    std::size_t last = 0;
    for (const auto& match : found) {
        encodePlain(text.substr(last, match.range.begin - last), atStart && last == 0, ids);
        ids.push_back(match.id);
        last = match.range.end;
    }
    encodePlain(text.substr(last), atStart && last == 0, ids);
}

void JsonTokenizer::encodePlain(std::string_view text, bool atStart,
                                std::vector<TokenId>& ids) const
{
    if (text.empty())
        return;
    Pieces pieces;
    pieces.list.push_back({text, atStart});
    for (const auto& step : m_preTokenizers.steps)
        step->apply(pieces);
    WordCache& cache = WordCache::ofThread(m_number);
    for (const Piece& piece : pieces.list) {
        const bool cached = piece.text.size() <= WordCache::kMaxWord;
        const std::uint64_t hash = cached ? WordCache::hashOf(piece.text) : 0;
        if (cached && cache.find(piece.text, hash, ids))
            continue;
        const std::size_t before = ids.size();
        if (m_preTokenizers.byteLevelAtEnd)
            m_model->encode(toByteLevel(piece.text), ids);
        else
            m_model->encode(piece.text, ids);
        if (cached)
            cache.insert(piece.text, hash, std::span(ids).subspan(before));
    }
}

std::string JsonTokenizer::decode(std::span<const TokenId> ids, bool skipSpecialTokens) const
{
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const TokenId id : ids) {
        std::string token = tokenOf(id);
        if (!token.empty() && !(skipSpecialTokens && isSpecial(id)))
            tokens.push_back(std::move(token));
    }
    for (const auto& step : m_decoders.steps)
        step->apply(tokens);
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0 && !m_decoders.present)
            text += ' ';
        text += tokens[i];
    }
    return text;
}

std::int64_t JsonTokenizer::vocabSize() const
{
    return std::max<std::int64_t>(m_model->size(), std::int64_t{m_added.highestId()} + 1);
}

std::optional<TokenId> JsonTokenizer::idOf(std::string_view token) const
{
    const auto id = m_added.idOf(token);
    return id ? id : m_model->idOf(token);
}

std::string JsonTokenizer::tokenOf(TokenId id) const
{
    const AddedToken* added = m_added.find(id);
    return added ? added->content : std::string(m_model->tokenOf(id));
}

} // namespace fettle::text
