#include "text/unigram.h"

#include "text/json_parts.h"
#include "text/unicode.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace fettle::text {

namespace {

constexpr double kUnknownPenalty = 10;

/// The best way to a place in the piece.
struct Step
{
    double score = 0;
    std::ptrdiff_t from = -1; // -1: nothing ends here
    TokenId id = -1;
};

} // namespace

Result<std::unique_ptr<UnigramModel>> UnigramModel::fromJson(const Json& model)
{
    const JsonPart part(model, "/model");
    if (auto known = part.onlyKeys({"type", "unk_id", "vocab", "byte_fallback"}); !known)
        return known.error();
    const auto bytes = part.flag("byte_fallback", false);
    const auto unk = part.number("unk_id", 0);
    const Json& entries = part.child("vocab");
    if (!bytes || !unk || !entries.is_array() || entries.empty())
        return part.badKinds();
    if (!model.contains("unk_id") || model["unk_id"].is_null())
        return part.unknown("a unigram model without 'unk_id'");
    std::unique_ptr<UnigramModel> out(new UnigramModel);
    Json vocab = Json::object();
    std::size_t letters = 0;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& entry : entries) {
        if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
            !entry[1].is_number() || !std::isfinite(entry[1].get<double>()))
            return part.invalid("the vocabulary is not a list of pieces and scores");
        const auto& token = entry[0].get_ref<const std::string&>();
        if (!vocab.emplace(token, vocab.size()).second)
            return part.invalid(fmt::format("piece {} occurs twice", vocab.size()));
        out->m_scores.push_back(entry[1].get<double>());
        least = std::min(least, out->m_scores.back());
        letters += token.size();
    }
    if (*unk < 0 || static_cast<std::size_t>(*unk) >= entries.size())
        return part.invalid("'unk_id' is no place in the vocabulary");
    auto read = Vocabulary::fromJson(vocab);
    if (!read)
        return read.error();
    out->m_vocab = *std::move(read);
    out->m_unk = static_cast<TokenId>(*unk);
    out->m_unkScore = least - kUnknownPenalty;
    out->m_children = PairTable(letters);
    for (TokenId id = 0; id < out->m_vocab.size(); ++id)
        out->growTrie(out->m_vocab.tokenOf(id), id);
    for (int byte = 0; byte < 256 && *bytes; ++byte)
        out->m_byteIds.push_back(out->m_vocab.find(fmt::format("<0x{:02X}>", byte)).value_or(-1));
    return out;
}

void UnigramModel::growTrie(std::string_view token, TokenId id)
{
    TokenId node = 0;
    for (std::size_t i = 0; i < token.size(); ++i) {
        const auto byte = static_cast<TokenId>(static_cast<unsigned char>(token[i]));
        auto step = m_children.find(node, byte);
        const bool last = i + 1 == token.size();
        if (step.id < 0 || last) {
            const TokenId next = step.id < 0 ? m_nodes++ : step.id;
            m_children.set(node, byte, {last ? id : -1, next});
            step.id = next;
        }
        node = step.id;
    }
}

/// Returns how many ids it appended.
std::size_t UnigramModel::emit(std::string_view part, std::vector<TokenId>& ids) const
{
    if (const auto id = m_vocab.find(part)) {
        ids.push_back(*id);
        return 1;
    }
    const auto byteId = [&](char c) { return m_byteIds[static_cast<unsigned char>(c)]; };
    const bool byBytes =
        !m_byteIds.empty() && std::ranges::all_of(part, [&](char c) { return byteId(c) >= 0; });
    if (!byBytes) {
        ids.push_back(m_unk);
        return 1;
    }
    for (const char c : part)
        ids.push_back(byteId(c));
    return part.size();
}

void UnigramModel::encode(std::string_view piece, std::vector<TokenId>& ids,
                          std::vector<Range>* ranges) const
{
    std::vector<Step> best(piece.size() + 1);
    const auto offer = [&](std::size_t from, std::size_t to, double score, TokenId id) {
        const double whole = best[from].score + score;
        if (best[to].from < 0 || whole > best[to].score)
            best[to] = {whole, static_cast<std::ptrdiff_t>(from), id};
    };
    for (std::size_t at = 0; at < piece.size();) {
        std::size_t next = at;
        decodeValid(piece.data(), next);
        bool single = false;
        TokenId node = 0;
        for (std::size_t end = at; end < piece.size();) {
            const auto step =
                m_children.find(node, static_cast<TokenId>(static_cast<unsigned char>(piece[end])));
            if (step.id < 0)
                break;
            node = step.id;
            ++end;
            if (step.rank < 0)
                continue;
            offer(at, end, m_scores[static_cast<std::size_t>(step.rank)], step.rank);
            single = single || end == next;
        }
        if (!single)
            offer(at, next, m_unkScore, m_unk);
        at = next;
    }
    // Back from the end; neighbouring unknown characters are one part.
    std::vector<std::string_view> parts;
    bool inUnknown = false;
    for (std::size_t end = piece.size(); end > 0;) {
        const auto& step = best[end];
        const auto from = static_cast<std::size_t>(step.from);
        const auto part = piece.substr(from, end - from);
        const bool unknown = step.id == m_unk;
        if (unknown && inUnknown)
            parts.back() = std::string_view(part.data(), part.size() + parts.back().size());
        else
            parts.push_back(part);
        inUnknown = unknown;
        end = from;
    }
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        const std::size_t count = emit(*part, ids);
        const auto begin = static_cast<std::size_t>(part->data() - piece.data());
        if (ranges)
            ranges->insert(ranges->end(), count, {begin, begin + part->size()});
    }
}

} // namespace fettle::text
