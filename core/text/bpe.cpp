#include "text/bpe.h"

#include "base/text.h"
#include "text/json_parts.h"
#include "text/unicode.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace fettle::text {

namespace {

constexpr char32_t kLowCharacters = 0x400; // holds the byte-level alphabet

struct Candidate
{
    std::int32_t rank, position;
    TokenId id;

    /// For a heap with the lowest rank on top, then the leftmost.
    bool operator<(const Candidate& other) const
    {
        return rank != other.rank ? rank > other.rank : position > other.position;
    }
};

Error badModel(std::string what, const char* key)
{
    return {ErrorCode::InvalidInput, std::move(what), fmt::format("tokenizer.json, /model/{}", key),
            "Fetch the tokenizer's files again"};
}

/// Both halves of a merge: "a b" or ["a", "b"].
std::optional<std::pair<std::string, std::string>> halves(const Json& entry)
{
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string())
        return std::pair(entry[0].get<std::string>(), entry[1].get<std::string>());
    if (!entry.is_string())
        return std::nullopt;
    const auto& text = entry.get_ref<const std::string&>();
    const auto space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        return std::nullopt;
    return std::pair(text.substr(0, space), text.substr(space + 1));
}

} // namespace

Result<std::unique_ptr<BpeModel>> BpeModel::fromJson(const Json& model)
{
    const JsonPart part(model, "/model");
    if (auto known = part.onlyKeys({"type", "dropout", "unk_token", "continuing_subword_prefix",
                                    "end_of_word_suffix", "fuse_unk", "byte_fallback",
                                    "ignore_merges", "vocab", "merges"});
        !known)
        return known.error();
    if (const auto dropout = model.find("dropout");
        dropout != model.end() && !dropout->is_null() && *dropout != 0)
        return Error{ErrorCode::Unsupported,
                     "the tokenizer asks for BPE dropout, which is not known here",
                     "tokenizer.json, /model/dropout", "Set dropout to null in the file"};
    std::unique_ptr<BpeModel> bpe(new BpeModel);
    auto vocab = Vocabulary::fromJson(part.child("vocab"));
    if (!vocab)
        return vocab.error();
    bpe->m_vocab = *std::move(vocab);
    auto prefix = part.text("continuing_subword_prefix"), suffix = part.text("end_of_word_suffix"),
         unk = part.text("unk_token");
    auto fuse = part.flag("fuse_unk", false), bytes = part.flag("byte_fallback", false),
         ignore = part.flag("ignore_merges", false);
    if (!prefix || !suffix || !unk || !fuse || !bytes || !ignore)
        return part.badKinds();
    bpe->m_prefix = *prefix;
    bpe->m_suffix = *suffix;
    bpe->m_fuseUnk = *fuse;
    bpe->m_ignoreMerges = *ignore;
    if (model.contains("unk_token") && model["unk_token"].is_string()) {
        bpe->m_unk = bpe->m_vocab.find(*unk);
        if (!bpe->m_unk)
            return badModel("the unknown token is not in the vocabulary", "unk_token");
    }
    if (*bytes) {
        for (int byte = 0; byte < 256; ++byte)
            bpe->m_byteIds.push_back(
                bpe->m_vocab.find(fmt::format("<0x{:02X}>", byte)).value_or(-1));
    }
    bpe->fillCharacters();
    if (auto read = bpe->readMerges(part.child("merges")); !read)
        return read.error();
    return bpe;
}

Result<void> BpeModel::readMerges(const Json& merges)
{
    if (!merges.is_array())
        return badModel("the list of merges is missing", "merges");
    m_merges = PairTable(merges.size());
    std::int32_t rank = 0;
    for (const auto& entry : merges) {
        const auto pair = halves(entry);
        if (!pair)
            return badModel(fmt::format("merge {} is not a pair of tokens", rank), "merges");
        const auto& [left, right] = *pair;
        if (right.size() < m_prefix.size())
            return badModel(fmt::format("merge {} is shorter than the prefix", rank), "merges");
        const auto leftId = m_vocab.find(left), rightId = m_vocab.find(right),
                   merged = m_vocab.find(left + right.substr(m_prefix.size()));
        if (!leftId || !rightId || !merged)
            return badModel(
                fmt::format("merge {} names a token that is not in the vocabulary", rank),
                "merges");
        m_merges.set(*leftId, *rightId, {rank++, *merged});
    }
    return {};
}

void BpeModel::fillCharacters()
{
    m_lowCharacters.assign(kLowCharacters, -1);
    for (char32_t c = 0; c < kLowCharacters; ++c) {
        std::string text;
        appendUtf8(text, c);
        m_lowCharacters[c] = m_vocab.find(text).value_or(-1);
    }
}

TokenId BpeModel::characterId(std::string_view character, bool first, bool last) const
{
    const bool plain = (first || m_prefix.empty()) && (!last || m_suffix.empty());
    if (plain && character.size() <= 2) {
        std::size_t at = 0;
        const char32_t c = decodeValid(character.data(), at);
        if (c < kLowCharacters)
            return m_lowCharacters[c];
    }
    if (plain)
        return m_vocab.find(character).value_or(-1);
    std::string text = first ? "" : m_prefix;
    text += character;
    if (last)
        text += m_suffix;
    return m_vocab.find(text).value_or(-1);
}

void BpeModel::toSymbols(std::string_view piece, std::vector<Symbol>& symbols) const
{
    const auto add = [&](TokenId id, std::size_t length) {
        symbols.push_back({id, 0, 0, static_cast<std::int32_t>(length)});
    };
    bool unkPending = false;
    std::size_t unkLength = 0;
    for (std::size_t at = 0; at < piece.size();) {
        const std::size_t start = at;
        decodeValid(piece.data(), at);
        const auto character = piece.substr(start, at - start);
        const TokenId id = characterId(character, start == 0, at >= piece.size());
        if (id >= 0) {
            if (std::exchange(unkPending, false))
                add(*m_unk, unkLength);
            add(id, character.size());
            continue;
        }
        const auto byteId = [&](char c) { return m_byteIds[static_cast<unsigned char>(c)]; };
        if (!m_byteIds.empty() && std::all_of(character.begin(), character.end(),
                                              [&](char c) { return byteId(c) >= 0; })) {
            // A pending unknown stays pending here, as in the reference.
            for (const char c : character)
                add(byteId(c), 1);
        } else if (m_unk) {
            if (unkPending && !m_fuseUnk)
                add(*m_unk, std::exchange(unkLength, 0));
            unkLength = character.size() + (unkPending ? unkLength : 0);
            unkPending = true;
        }
    }
    if (unkPending)
        add(*m_unk, unkLength);
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        symbols[i].previous = static_cast<std::int32_t>(i) - 1;
        symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i) + 1 : -1;
    }
}

void BpeModel::merge(std::vector<Symbol>& symbols) const
{
    static thread_local std::vector<Candidate> heap;
    heap.clear();
    const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
    const auto consider = [&](std::int32_t left, bool push) {
        if (left < 0 || at(left).next < 0)
            return;
        const auto found = m_merges.find(at(left).id, at(at(left).next).id);
        if (found.rank < 0)
            return;
        heap.push_back({found.rank, left, found.id});
        if (push)
            std::push_heap(heap.begin(), heap.end());
    };
    for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols.size()); ++i)
        consider(i, false);
    std::make_heap(heap.begin(), heap.end());
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end());
        const Candidate top = heap.back();
        heap.pop_back();
        Symbol& left = at(top.position);
        if (left.id < 0 || left.next < 0)
            continue;
        Symbol& right = at(left.next);
        if (m_merges.find(left.id, right.id).id != top.id)
            continue; // the pair has changed since
        left.id = top.id;
        right.id = -1;
        left.next = right.next;
        left.length += right.length;
        if (right.next >= 0)
            at(right.next).previous = top.position;
        consider(left.previous, true);
        consider(top.position, true);
    }
}

void BpeModel::encode(std::string_view piece, std::vector<TokenId>& ids,
                      std::vector<Range>* ranges) const
{
    if (piece.empty())
        return;
    if (m_ignoreMerges) {
        const auto whole = m_vocab.find(piece);
        if (whole && !(static_cast<std::size_t>(*whole) < m_special.size() &&
                       m_special[static_cast<std::size_t>(*whole)])) {
            ids.push_back(*whole);
            if (ranges)
                ranges->push_back({0, piece.size()});
            return;
        }
    }
    static thread_local std::vector<Symbol> symbols;
    symbols.clear();
    toSymbols(piece, symbols);
    if (symbols.size() > 1)
        merge(symbols);
    std::size_t at = 0;
    for (const Symbol& symbol : symbols) {
        if (symbol.id < 0)
            continue;
        ids.push_back(symbol.id);
        const std::size_t begin = std::exchange(at, at + static_cast<std::size_t>(symbol.length));
        if (ranges)
            ranges->push_back({begin, at});
    }
}

} // namespace fettle::text
