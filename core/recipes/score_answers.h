#pragma once

#include "base/ordered_json.h"
#include "jobs/job.h"
#include "store/workspace.h"

#include <memory>
#include <string>
#include <vector>

namespace fettle::recipes {

/// How likely a model finds each of several answers to one conversation, which is read once. An answer
/// is scored with the mark that ends it, as it is taught. Ends with {"candidates": [{"text", "tokens",
/// "logProbability" (natural logarithm of the whole answer's), "mean" (of a token's), "rank" (1 for
/// the likeliest answer), "share" (of the probability of all that are given), "logProbabilities"}] in
/// the order given, "promptTokens", "fingerprint", "seconds"}.
/// Errors: InvalidInput (no conversation form, an answer that the model cannot hold).
std::shared_ptr<jobs::Job> makeScoreAnswersJob(std::shared_ptr<store::Workspace> workspace,
                                               std::string model, std::vector<OrderedJson> messages,
                                               OrderedJson tools,
                                               std::vector<std::string> candidates);

} // namespace fettle::recipes
