#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fettle::text {

/// The contents of a sentencepiece .model file, as far as other formats need them.
struct SentencePieceModel
{
    enum Kind : std::int64_t
    {
        kUnigram = 1,
        kBpe = 2
    };
    struct Piece
    {
        std::string text;
        float score = 0;
        std::int32_t type = 1; ///< 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
    };

    std::vector<Piece> pieces;
    std::int64_t kind = kUnigram;
    bool addDummyPrefix = true, removeExtraSpaces = true;
    std::string charsmap; ///< precompiled map of characters; empty when there is none
};

/// Errors: InvalidInput when the file is no such model.
Result<SentencePieceModel> readSentencePieceModel(const std::filesystem::path& file);

} // namespace fettle::text
