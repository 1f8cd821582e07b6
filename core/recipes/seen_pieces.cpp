#include "recipes/seen_pieces.h"

#include "base/text.h"

namespace fettle::recipes {

namespace {

/// What `ids` add to the text after `before`. Some decoders drop the space in front of a text's
/// first token, so a token alone does not say what it adds.
std::string addedText(const text::Tokenizer& tokenizer, const std::vector<text::TokenId>& before,
                      const std::vector<text::TokenId>& ids)
{
    auto together = before;
    together.insert(together.end(), ids.begin(), ids.end());
    const auto start = tokenizer.decode(before, false), whole = tokenizer.decode(together, false);
    return whole.starts_with(start) ? whole.substr(start.size()) : tokenizer.decode(ids, false);
}

} // namespace

std::vector<SeenPiece> seenPieces(const text::Tokenizer& tokenizer,
                                  const text::EncodedExample& encoded)
{
    std::vector<SeenPiece> pieces;
    SeenPiece open; // tokens whose bytes are not yet whole characters
    const auto close = [&] {
        open.text = toValidUtf8(open.text);
        pieces.push_back(std::move(open));
        open = {};
    };
    for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
        const text::TokenId id = encoded.ids[i];
        const bool mark = tokenizer.isSpecial(id);
        if (mark && !open.ids.empty())
            close();
        open.ids.push_back(id);
        open.taught = encoded.trained[i] != 0;
        open.mark = mark;
        static const std::vector<text::TokenId> kNothing;
        open.text =
            mark ? tokenizer.tokenOf(id)
                 : addedText(tokenizer, pieces.empty() ? kNothing : pieces.back().ids, open.ids);
        if (mark || completeUtf8Prefix(open.text) == open.text.size())
            close();
    }
    if (!open.ids.empty())
        close();
    return pieces;
}

} // namespace fettle::recipes
