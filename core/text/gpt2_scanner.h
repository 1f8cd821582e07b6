#pragma once

#include "text/pre_tokenizers.h"

namespace fettle::text {

/// Splits by the pattern of GPT-2 without a regex engine:
/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// The pieces cover the text without gaps. Equal to the pattern by test.
void splitLikeGpt2(const Piece& piece, std::vector<Piece>& pieces);

/// The pattern itself, for the test and for other places that need it.
extern const char* const kGpt2Pattern;

} // namespace fettle::text
