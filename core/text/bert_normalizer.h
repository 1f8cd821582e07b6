#pragma once

#include "text/json_parts.h"
#include "text/normalizers.h"

namespace fettle::text {

/// Cleans, sets CJK characters apart, strips accents and lowers, as the part says.
Result<std::unique_ptr<const Normalizer>> makeBertNormalizer(const JsonPart& part);

/// The compiled rules of sentencepiece ("precompiled_charsmap"): a double-array trie and the texts
/// that replace what it finds. Errors: InvalidInput for a table that does not hold together.
Result<std::unique_ptr<const Normalizer>> makePrecompiled(const JsonPart& part);

} // namespace fettle::text
