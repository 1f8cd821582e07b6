#pragma once

#include "base/json.h"
#include "text/tokenizer.h"

#include <functional>

namespace fettle::text {

/// What stands around a single text: BOS, EOS, CLS, SEP.
struct Surround
{
    std::vector<TokenId> before, after;
    bool trimOffsets = false;      ///< white space does not count to the place of a token
    bool addedPrefixSpace = false; ///< ... but at the start, where it was put in front
};

/// From "post_processor"; null adds nothing. `idOf` looks a token up, to check the ids that the
/// part names. Errors name the part.
Result<Surround>
readPostProcessor(const Json& json,
                  const std::function<std::optional<TokenId>(const std::string&)>& idOf);

} // namespace fettle::text
