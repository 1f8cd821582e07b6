#include "text/tokenizer_json.h"

#include "base/text.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/json_parts.h"
#include "text/text_parts.h"
#include "text/unicode.h"
#include "text/unigram.h"
#include "text/word_cache.h"
#include "text/word_models.h"

#include <algorithm>
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

/// Normalising moves places: a part is then trusted as a whole or not at all.
TrustedRanges trustOf(const TrustedRanges& trusted, std::size_t begin, std::size_t size)
{
    return trusted.contain({begin, begin + size}) ? TrustedRanges::all() : TrustedRanges::none();
}

/// Characters at one end of a token that stand for white space.
std::size_t spacesAt(std::string_view token, bool front)
{
    const std::string& mark = byteLevelAlphabet()[' '];
    std::size_t count = 0;
    for (;; ++count) {
        std::size_t length = 0;
        if (token.empty())
            return count;
        const auto c = front ? decodeValid(token.data(), length) : lastCodePoint(token, length);
        const auto character =
            front ? token.substr(0, length) : token.substr(token.size() - length);
        if (character != mark && !isClass(c, kSpace))
            return count;
        front ? token.remove_prefix(length) : token.remove_suffix(length);
    }
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
    if (auto known =
            file.onlyKeys({"version", "truncation", "padding", "added_tokens", "normalizer",
                           "pre_tokenizer", "post_processor", "decoder", "model"});
        !known)
        return known.error();
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
    Encoding out;
    out.ids.reserve(text.size() / 3 + 4);
    encodeTrusted(text, options.parseSpecialTokens ? TrustedRanges::all() : TrustedRanges::none(),
                  {out.ids});
    if (options.addSpecialTokens)
        addAround(out);
    return std::move(out.ids);
}

Encoding JsonTokenizer::encodeWithOffsets(std::string_view text, EncodeOptions options) const
{
    const std::string valid = toValidUtf8(text);
    Encoding out;
    encodeTrusted(valid, options.parseSpecialTokens ? TrustedRanges::all() : TrustedRanges::none(),
                  {out.ids, &out.bytes});
    addCharacters(valid, out);
    if (options.addSpecialTokens)
        addAround(out);
    return out;
}

std::vector<TokenId> JsonTokenizer::encodeParts(std::span<const TextPart> parts) const
{
    const JoinedParts whole(parts);
    std::vector<TokenId> ids;
    ids.reserve(whole.text.size() / 3 + 4);
    encodeTrusted(whole.text, whole.trusted, {ids});
    return ids;
}

Encoding JsonTokenizer::encodePartsWithOffsets(std::span<const TextPart> parts) const
{
    const JoinedParts whole(parts);
    Encoding out;
    encodeTrusted(whole.text, whole.trusted, {out.ids, &out.bytes});
    addCharacters(whole.text, out);
    return out;
}

/// Puts what the file says around a text; in the lists that are not used nothing is put.
void JsonTokenizer::addAround(Encoding& encoding) const
{
    const auto put = [&](bool front, std::span<const TokenId> ids) {
        const bool offsets = encoding.bytes.size() == encoding.ids.size();
        encoding.ids.insert(front ? encoding.ids.begin() : encoding.ids.end(), ids.begin(),
                            ids.end());
        for (auto* ranges : {&encoding.bytes, &encoding.characters}) {
            if (offsets)
                ranges->insert(front ? ranges->begin() : ranges->end(), ids.size(), Range());
        }
    };
    put(true, m_surround.before);
    put(false, m_surround.after);
    if (addBos && bosId && (encoding.ids.empty() || encoding.ids.front() != *bosId))
        put(true, std::span(&*bosId, 1));
    if (addEos && eosId && (encoding.ids.empty() || encoding.ids.back() != *eosId))
        put(false, std::span(&*eosId, 1));
}

void JsonTokenizer::addCharacters(std::string_view text, Encoding& encoding) const
{
    encoding.characters = inCharacters(text, encoding.bytes);
    if (!m_surround.trimOffsets)
        return;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
        const Range bytes = encoding.bytes[i];
        // The token as it was found, with the white space that an added token takes.
        const std::string token =
            m_added.find(encoding.ids[i])
                ? std::string(text.substr(bytes.begin, bytes.end - bytes.begin))
                : tokenOf(encoding.ids[i]);
        Range& place = encoding.characters[i];
        std::size_t before = spacesAt(token, true);
        const std::size_t behind = spacesAt(token, false);
        if (before == 1 && m_surround.addedPrefixSpace && (i == 0 || place.begin == 0))
            before = 0;
        place.begin = std::min(place.begin + before, std::max(place.begin, place.end));
        if (behind > 0 && place.end >= behind)
            place.end = std::max(place.end - behind, place.begin);
    }
}

void JsonTokenizer::encodeTrusted(std::string_view text, const TrustedRanges& trusted,
                                  Sink sink) const
{
    std::vector<TokenMatcher::Found> found;
    m_added.raw().findAll(text, 0, trusted, found);
    std::size_t last = 0;
    for (const auto& match : found) {
        encodeRest(text.substr(last, match.range.begin - last), last, trusted, sink);
        sink.ids.push_back(match.id);
        if (sink.bytes)
            sink.bytes->push_back(match.range);
        last = match.range.end;
    }
    encodeRest(text.substr(last), last, trusted, sink);
}

void JsonTokenizer::encodeRest(std::string_view text, std::size_t offset,
                               const TrustedRanges& trusted, Sink sink) const
{
    if (text.empty())
        return;
    if (!sink.bytes && m_normalizers.empty())
        return encodeNormalized({text, offset == 0}, offset, trusted, sink);
    const TrustedRanges whole = m_normalizers.empty() || m_added.normalized().empty()
                                    ? trusted
                                    : trustOf(trusted, offset, text.size());
    std::string normalized(text);
    if (!sink.bytes) {
        for (const auto& step : m_normalizers)
            step->apply(normalized);
    }
    // Places are needed too where it counts whether the first character is still the text's first.
    const bool asked =
        m_preTokenizers.asksForStart && offset == 0 && normalized.substr(0, 1) != text.substr(0, 1);
    if (!sink.bytes && !asked)
        return encodeNormalized({normalized, offset == 0}, offset, whole, sink);
    AlignedText aligned(text, offset);
    for (const auto& step : m_normalizers)
        step->apply(aligned);
    const bool atStart = !aligned.origins().empty() && aligned.origins()[0].begin == 0;
    encodeNormalized({aligned.text(), atStart, sink.bytes ? aligned.origins().data() : nullptr},
                     offset, whole, sink);
}

void JsonTokenizer::encodeNormalized(const Piece& piece, std::size_t offset,
                                     const TrustedRanges& trusted, Sink sink) const
{
    if (m_added.normalized().empty())
        return encodePlain(piece, sink);
    std::vector<TokenMatcher::Found> found;
    m_added.normalized().findAll(piece.text, offset, trusted, found);
    std::size_t last = 0;
    for (const auto& match : found) {
        encodePlain(piece.part(last, match.range.begin), sink);
        sink.ids.push_back(match.id);
        if (sink.bytes)
            sink.bytes->push_back(
                {piece.origins[match.range.begin].begin, piece.origins[match.range.end - 1].end});
        last = match.range.end;
    }
    encodePlain(piece.part(last, piece.text.size()), sink);
}

void JsonTokenizer::encodePlain(const Piece& whole, Sink sink) const
{
    if (whole.text.empty())
        return;
    Pieces pieces;
    pieces.list.push_back(whole);
    for (const auto& step : m_preTokenizers.steps)
        step->apply(pieces);
    if (sink.bytes) {
        for (const Piece& piece : pieces.list)
            encodeAligned(piece, pieces, sink);
        return;
    }
    WordCache& cache = WordCache::ofThread(m_number);
    for (const Piece& piece : pieces.list) {
        const bool cached = piece.text.size() <= WordCache::kMaxWord;
        const std::uint64_t hash = cached ? WordCache::hashOf(piece.text) : 0;
        if (cached && cache.find(piece.text, hash, sink.ids))
            continue;
        const std::size_t before = sink.ids.size();
        if (m_preTokenizers.byteLevelAtEnd)
            m_model->encode(toByteLevel(piece.text), sink.ids, nullptr);
        else
            m_model->encode(piece.text, sink.ids, nullptr);
        if (cached)
            cache.insert(piece.text, hash, std::span(sink.ids).subspan(before));
    }
}

/// One piece with the origin of its tokens.
void JsonTokenizer::encodeAligned(const Piece& piece, Pieces& pieces, Sink sink) const
{
    if (piece.text.empty())
        return;
    const Piece written = m_preTokenizers.byteLevelAtEnd ? toByteLevel(piece, pieces) : piece;
    std::vector<Range> ranges;
    m_model->encode(written.text, sink.ids, &ranges);
    for (const Range& range : ranges) {
        const std::size_t last = written.text.size() - 1;
        const Range first = written.origins[std::min(range.begin, last)];
        sink.bytes->push_back(
            range.end > range.begin
                ? Range{first.begin, written.origins[std::min(range.end - 1, last)].end}
                : Range{first.begin, first.begin});
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
