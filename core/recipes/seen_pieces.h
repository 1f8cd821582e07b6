#pragma once

#include "recipes/encode.h"

namespace fettle::recipes {

/// One piece of a text as the model reads it. A character that is spread over several tokens makes
/// one piece of them.
struct SeenPiece
{
    std::vector<text::TokenId> ids; ///< of one token, unless a character is spread over several
    std::string text;               ///< valid UTF-8
    bool taught = false;            ///< its last token is a target of the loss
    bool mark = false;              ///< a special token, not words
};

/// The pieces of encoded text in order. The text of all pieces together is what the tokens decode
/// to, with bytes that form no character replaced by U+FFFD.
std::vector<SeenPiece> seenPieces(const text::Tokenizer& tokenizer,
                                  const text::EncodedExample& encoded);

} // namespace fettle::recipes
