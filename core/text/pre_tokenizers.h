#pragma once

#include "base/json.h"
#include "text/regex.h"

#include <deque>
#include <memory>

namespace fettle::text {

/// A part of the text on its way to the model.
struct Piece
{
    std::string_view text;
    bool atStart = false;           ///< lies at the very start of the text
    const Range* origins = nullptr; ///< where each byte comes from; null when nobody asks

    /// The bytes [begin, end).
    Piece part(std::size_t begin, std::size_t end) const
    {
        return {text.substr(begin, end - begin), atStart && begin == 0,
                origins ? origins + begin : nullptr};
    }
};

/// Pieces and the storage of those that are not parts of the text any more.
struct Pieces
{
    std::vector<Piece> list;
    std::deque<std::string> owned;
    std::deque<std::vector<Range>> ownedOrigins;

    std::string_view own(std::string text) { return owned.emplace_back(std::move(text)); }
    /// The piece with a new text, whose bytes come from `origins` (empty when nobody asks).
    Piece replaced(const Piece& piece, std::string text, std::vector<Range> origins)
    {
        const Range* places =
            piece.origins ? ownedOrigins.emplace_back(std::move(origins)).data() : nullptr;
        return {own(std::move(text)), piece.atStart, places};
    }
};

/// One step of a pre-tokenizer of tokenizer.json. Immutable after loading.
class PreTokenizer
{
public:
    virtual ~PreTokenizer() = default;
    virtual void apply(Pieces& pieces) const = 0;
    /// Bytes that one byte of the text can become at most.
    virtual double growth() const { return 1; }
};

struct PreTokenizers
{
    std::vector<std::unique_ptr<const PreTokenizer>> steps;
    /// The pieces still have to be written in the byte-level alphabet. Kept out of the steps when
    /// it comes last: known words are looked up by their bytes as they stand.
    bool byteLevelAtEnd = false;
    bool asksForStart = false; ///< something is put only before the very start of the text
};

/// From "pre_tokenizer"; sequences are laid flat, null gives none. Errors name the part.
Result<PreTokenizers> readPreTokenizers(const Json& json);

/// What becomes of a match that splits a text.
enum class SplitBehavior
{
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous
};

/// From its name in files: "MergedWithNext".
std::optional<SplitBehavior> behaviorFrom(const std::string& name);

/// The piece written in the byte-level alphabet.
Piece toByteLevel(const Piece& piece, Pieces& pieces);

/// Splits one piece at `matches` (sorted, not overlapping); `invert` swaps matches and gaps.
void splitAt(const Piece& piece, const std::vector<Range>& matches, SplitBehavior behavior,
             bool invert, std::vector<Piece>& out);

} // namespace fettle::text
