#include "text/sentencepiece_tokenizer.h"

#include "base/text.h"
#include "text/json_parts.h"
#include "text/sentencepiece_model.h"
#include "text/text_parts.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

namespace fettle::text {

struct SentencePieceTokenizer::Library
{
    sentencepiece::SentencePieceProcessor processor;
};

namespace {

/// False for what is no model. The library throws at pieces that its tables cannot hold.
bool loadInto(sentencepiece::SentencePieceProcessor& processor, const std::string& bytes)
{
    if (bytes.empty() || !characterMapsAreSound(bytes))
        return false;
    try {
        return processor.LoadFromSerializedProto(bytes).ok() && processor.GetPieceSize() > 0;
    } catch (const std::exception&) {
        return false;
    }
}

} // namespace

SentencePieceTokenizer::SentencePieceTokenizer()
    : m_library(std::make_unique<Library>())
{
}
SentencePieceTokenizer::~SentencePieceTokenizer() = default;

Result<std::shared_ptr<SentencePieceTokenizer>>
SentencePieceTokenizer::open(const std::filesystem::path& file, const Json& config)
{
    const auto bytes = readFile(file, 256u << 20);
    if (!bytes)
        return bytes.error();
    std::shared_ptr<SentencePieceTokenizer> out(new SentencePieceTokenizer);
    auto& processor = out->m_library->processor;
    if (!loadInto(processor, *bytes))
        return Error{ErrorCode::InvalidInput, "this is not a sentencepiece model",
                     file.filename().string(), "Fetch the tokenizer's files again"};
    for (int id = 0; id < processor.GetPieceSize(); ++id) {
        if (processor.IsControl(id))
            out->m_matcher.add({id, processor.IdToPiece(id), false, false, false, false, true},
                               processor.IdToPiece(id));
    }
    out->m_highest = processor.GetPieceSize() - 1;
    const JsonPart part(config, "tokenizer_config.json");
    // The defaults of the two families that come as .model files: Llama begins, T5 ends.
    const auto tokenizerClass = part.text("tokenizer_class");
    const bool t5 = tokenizerClass && tokenizerClass->starts_with("T5");
    const auto bos = part.flag("add_bos_token", !t5), eos = part.flag("add_eos_token", t5),
               legacy = part.flag("legacy", true);
    if (!tokenizerClass || !bos || !eos || !legacy)
        return part.badKinds();
    out->m_addBos = *bos;
    out->m_addEos = *eos;
    out->m_legacy = *legacy;
    if (auto added = out->readAddedTokens(config); !added)
        return added.error();
    if (processor.bos_id() >= 0)
        out->bosId = processor.bos_id(), out->bosToken = processor.IdToPiece(processor.bos_id());
    if (processor.eos_id() >= 0)
        out->eosId = processor.eos_id(), out->eosToken = processor.IdToPiece(processor.eos_id());
    if (processor.pad_id() >= 0)
        out->padId = processor.pad_id(), out->padToken = processor.IdToPiece(processor.pad_id());
    if (processor.unk_id() >= 0)
        out->unkId = processor.unk_id(), out->unkToken = processor.IdToPiece(processor.unk_id());
    return out;
}

Result<void> SentencePieceTokenizer::readAddedTokens(const Json& config)
{
    const auto found = config.find("added_tokens_decoder");
    if (found == config.end())
        return {};
    const JsonPart list(*found, "tokenizer_config.json, /added_tokens_decoder");
    if (!found->is_object())
        return list.badKinds();
    for (const auto& [key, value] : found->items()) {
        const JsonPart part(value, list.place() + "/" + key);
        std::int64_t id = -1;
        if (key.size() <= 8 && key.find_first_not_of("0123456789") == std::string::npos &&
            !key.empty())
            id = std::stoll(key);
        if (id < 0 || !value.is_object())
            return part.badKinds();
        const auto content = part.text("content");
        const auto single = part.flag("single_word", false), lstrip = part.flag("lstrip", false),
                   rstrip = part.flag("rstrip", false), special = part.flag("special", false);
        if (!content || content->empty() || !single || !lstrip || !rstrip || !special)
            return part.badKinds();
        if (id < m_library->processor.GetPieceSize() &&
            m_library->processor.IdToPiece(static_cast<int>(id)) == *content)
            continue; // the model has it already
        AddedToken token{
            static_cast<TokenId>(id), *content, *single, *lstrip, *rstrip, false, *special};
        m_matcher.add(token, token.content);
        m_highest = std::max(m_highest, token.id);
        m_addedIds[token.content] = token.id;
        m_added[token.id] = std::move(token);
    }
    return {};
}

Encoding SentencePieceTokenizer::encodeWithOffsets(std::string_view text,
                                                   EncodeOptions options) const
{
    auto out = encodeTrusted(toValidUtf8(text), options.parseSpecialTokens ? TrustedRanges::all()
                                                                           : TrustedRanges::none());
    if (options.addSpecialTokens)
        addAround(out);
    return out;
}

std::vector<TokenId> SentencePieceTokenizer::encode(std::string_view text,
                                                    EncodeOptions options) const
{
    return encodeWithOffsets(text, options).ids;
}

Encoding SentencePieceTokenizer::encodePartsWithOffsets(std::span<const TextPart> parts) const
{
    const JoinedParts whole(parts);
    return encodeTrusted(whole.text, whole.trusted);
}

std::vector<TokenId> SentencePieceTokenizer::encodeParts(std::span<const TextPart> parts) const
{
    return encodePartsWithOffsets(parts).ids;
}

void SentencePieceTokenizer::addAround(Encoding& encoding) const
{
    if (m_addBos && bosId) {
        encoding.ids.insert(encoding.ids.begin(), *bosId);
        encoding.bytes.insert(encoding.bytes.begin(), Range());
        encoding.characters.insert(encoding.characters.begin(), Range());
    }
    if (m_addEos && eosId) {
        encoding.ids.push_back(*eosId);
        encoding.bytes.emplace_back();
        encoding.characters.emplace_back();
    }
}

Encoding SentencePieceTokenizer::encodeTrusted(std::string_view text,
                                               const TrustedRanges& trusted) const
{
    Encoding out;
    std::vector<TokenMatcher::Found> found;
    m_matcher.findAll(text, 0, trusted, found);
    std::size_t last = 0;
    for (const auto& match : found) {
        encodePlain(text.substr(last, match.range.begin - last), last, out);
        out.ids.push_back(match.id);
        out.bytes.push_back(match.range);
        last = match.range.end;
    }
    encodePlain(text.substr(last), last, out);
    out.characters = inCharacters(text, out.bytes);
    return out;
}

void SentencePieceTokenizer::encodePlain(std::string_view text, std::size_t offset,
                                         Encoding& out) const
{
    if (text.empty())
        return;
    const auto& processor = m_library->processor;
    std::size_t skip = 0;
    std::string standIn;
    if (offset > 0 && !m_legacy && processor.unk_id() >= 0) {
        // Behind a special token no space is put in front: encode behind a stand-in and cut it off.
        standIn = processor.IdToPiece(processor.unk_id());
        std::vector<int> front;
        (void)processor.Encode(standIn, &front);
        skip = front.size();
    }
    const auto pieces = processor.EncodeAsImmutableProto(standIn + std::string(text));
    const auto place = [&](std::size_t at) {
        return offset + std::min(text.size(), at - std::min(at, standIn.size()));
    };
    for (std::size_t i = skip; i < pieces.pieces_size(); ++i) {
        const auto piece = pieces.pieces(static_cast<int>(i));
        out.ids.push_back(static_cast<TokenId>(piece.id()));
        out.bytes.push_back({place(piece.begin()), place(piece.end())});
    }
}

std::string SentencePieceTokenizer::decodePieces(const std::vector<int>& ids) const
{
    // An unfinished character at the end is kept as bytes: in streaming, its rest may still come.
    const auto& processor = m_library->processor;
    std::size_t end = ids.size();
    std::string tail;
    while (end > 0 && ids.size() - end < 3 && processor.IsByte(ids[end - 1])) {
        const std::string piece = processor.IdToPiece(ids[--end]); // "<0xHH>"
        tail.insert(tail.begin(), static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
        if ((static_cast<unsigned char>(tail[0]) & 0xC0) == 0xC0)
            break;
    }
    if (tail.empty() || completeUtf8Prefix(tail) != 0)
        end = ids.size(), tail.clear();
    std::string text;
    (void)processor.Decode(
        std::vector<int>(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(end)), &text);
    return text + tail;
}

std::string SentencePieceTokenizer::decode(std::span<const TokenId> ids,
                                           bool skipSpecialTokens) const
{
    const auto& processor = m_library->processor;
    std::string text;
    std::vector<int> run;
    const auto flush = [&] {
        if (!run.empty())
            text += decodePieces(run);
        run.clear();
    };
    for (const TokenId id : ids) {
        const auto added = m_added.find(id);
        const bool inModel = id >= 0 && id < processor.GetPieceSize();
        if (added == m_added.end() && inModel && !processor.IsControl(id)) {
            run.push_back(id);
            continue;
        }
        if (skipSpecialTokens && isSpecial(id))
            continue;
        flush();
        text += tokenOf(id);
    }
    flush();
    return text;
}

std::int64_t SentencePieceTokenizer::vocabSize() const { return std::int64_t{m_highest} + 1; }

std::optional<TokenId> SentencePieceTokenizer::idOf(std::string_view token) const
{
    if (const auto added = m_addedIds.find(std::string(token)); added != m_addedIds.end())
        return added->second;
    const auto& processor = m_library->processor;
    const int id = processor.PieceToId(token); // the unknown piece's id for what it does not know
    return id >= 0 && id < processor.GetPieceSize() && processor.IdToPiece(id) == token
               ? std::optional<TokenId>(id)
               : std::nullopt;
}

std::string SentencePieceTokenizer::tokenOf(TokenId id) const
{
    if (const auto added = m_added.find(id); added != m_added.end())
        return added->second.content;
    const auto& processor = m_library->processor;
    return id >= 0 && id < processor.GetPieceSize() ? processor.IdToPiece(id) : std::string();
}

bool SentencePieceTokenizer::isSpecial(TokenId id) const
{
    if (const auto added = m_added.find(id); added != m_added.end())
        return added->second.special;
    const auto& processor = m_library->processor;
    return id >= 0 && id < processor.GetPieceSize() &&
           (processor.IsControl(id) || processor.IsUnknown(id));
}

} // namespace fettle::text
