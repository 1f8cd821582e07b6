#pragma once

#include "text/tokenizer.h"

namespace fettle::text {

/// The part of a tokenizer that turns one piece of text into ids. Immutable after loading.
class TokenModel
{
public:
    virtual ~TokenModel() = default;

    /// Appends the ids of one piece (well-formed UTF-8, already in the model's alphabet), and to
    /// `ranges`, when it is given, the bytes of the piece that each stands for.
    virtual void encode(std::string_view piece, std::vector<TokenId>& ids,
                        std::vector<Range>* ranges) const = 0;
    virtual std::optional<TokenId> idOf(std::string_view token) const = 0;
    virtual std::string_view tokenOf(TokenId id) const = 0; ///< "" for an unused id
    virtual TokenId size() const = 0;                       ///< highest id + 1
    virtual std::size_t tokenCount() const = 0; ///< number of tokens; less than size() with gaps
};

} // namespace fettle::text
