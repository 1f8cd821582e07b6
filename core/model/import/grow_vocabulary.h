#pragma once

#include "model/import/import.h"
#include "text/add_tokens.h"

namespace fettle::model {

/// Where the row of a new token starts.
enum class NewRows
{
    Mean,  ///< at the mean of all rows that tokens have
    Pieces ///< at the mean of the rows of the pieces that its text had so far
};

struct VocabularyGrowth
{
    std::vector<text::NewToken> tokens;
    NewRows start = NewRows::Mean;
    std::int64_t multiple = 1; ///< the number of rows is rounded up to a multiple of this
};

struct GrownModel
{
    ImportedModel model;
    text::TokensAdded added;
};

/// Makes a copy of a model folder whose tokenizer has further tokens and whose embedding and head
/// have rows for them; all other weights stay as they are, bit by bit. Rows that the table had to
/// spare are used first. The folder appears whole or not at all. Errors: those of ModelFiles,
/// text::addTokens() and writing; Unsupported for encoders; InvalidInput for a multiple below 1;
/// Cancelled.
Result<GrownModel> growVocabulary(const std::filesystem::path& source,
                                  const std::filesystem::path& target,
                                  const VocabularyGrowth& growth,
                                  const ImportProgress& progress = {}, std::stop_token stop = {});

} // namespace fettle::model
