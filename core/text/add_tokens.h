#pragma once

#include "text/tokenizer.h"

namespace fettle::text {

/// A token that a tokenizer shall get.
struct NewToken
{
    std::string content;
    bool special = false; ///< a mark: left out of decoded text, never read from what people type
};

/// What became of a token that was to be added.
struct TokenAddition
{
    TokenId id = -1;
    bool isNew = false; ///< the model has no row for it yet; false: it had this id already
    std::vector<TokenId>
        pieces; ///< what the tokenizer made of its text so far: whose rows to average
};

struct TokensAdded
{
    std::vector<TokenAddition> tokens; ///< in the order given
    std::int64_t vocabSizeBefore = 0;  ///< highest id + 1
    std::int64_t vocabSize = 0;
};

/// Adds tokens to the tokenizer of a model folder and writes its files to `to`, which may be the
/// same folder: tokenizer.json (made from vocab.json or vocab.txt where there is none), and in step
/// with it tokenizer_config.json, special_tokens_map.json and added_tokens.json where they are
/// there. New ids follow the highest one; a text that is a token already keeps its id. Other
/// programs read the same from the files. Rows of the model are not touched.
/// Errors: InvalidInput (empty, doubled or too long token), Unsupported (a sentencepiece model
/// alone; a vocabulary with gaps), whatever Tokenizer::load() says, Io.
Result<TokensAdded> addTokens(const std::filesystem::path& from, const std::filesystem::path& to,
                              std::span<const NewToken> tokens);

} // namespace fettle::text
