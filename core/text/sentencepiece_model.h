#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
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
/// Whether the maps of characters in a .model file stay inside themselves. The library follows
/// their offsets without a look, so nothing that fails here may reach it.
bool characterMapsAreSound(std::string_view model);

} // namespace fettle::text
