#pragma once

#include "data/example.h"
#include "store/dataset.h"
#include "text/conversation.h"

#include <memory>
#include <string>
#include <vector>

namespace fettle::recipes {

/// What turns rows into what the model reads: the same for preview, training, scoring and answering.
struct Encoder
{
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::shared_ptr<const text::ChatTemplate> chatTemplate;  ///< null: the model has no conversation form
    std::string instruction;           ///< standing instruction of the dataset; may be empty
    std::vector<std::string> labels;   ///< classes of a Labelled dataset, sorted
    /// The model reads the question and writes the answer apart (encoder-decoders): every row is a
    /// question in plain text and an answer, each with the tokenizer's own marks around it.
    bool apart = false;

    /// Ids and taught pieces of one row. Errors: InvalidInput (no conversation form, template refuses).
    Result<text::EncodedExample> encode(const data::Example& example, text::LossOn lossOn) const;
    /// Ids up to where the answer starts. Errors: as encode().
    Result<std::vector<text::TokenId>> encodePrompt(const data::Example& example) const;
    /// The conversation that a Chat or Labelled row stands for, its answer last.
    text::Messages conversation(const data::Example& example) const;

private:
    Result<text::EncodedExample> encodeApart(const data::Example& example) const;
    /// What an encoder-decoder reads: the prompt, or every message before the last answer.
    std::string question(const data::Example& example) const;
};

/// The dataset's standing instruction and its classes put into an encoder.
void addDatasetFacts(Encoder& encoder, const store::Dataset& dataset, const std::vector<store::DatasetRow>& rows);

/// "answers", "all", "last".
text::LossOn lossOnFrom(const std::string& name);

} // namespace fettle::recipes
