#pragma once

#include "data/importers/importer.h"

#include <string>

namespace fettle::data {

/// Parses one JSON value and gives it to the sink as a record, or the reason why it is bad. A text
/// alone becomes {"text": ...}. Duplicate names (the last wins) and lone surrogates (replaced) are
/// counted; whole numbers beyond 2^53 stay text. False: enough.
bool giveJson(std::string& text, std::int64_t row, const TextSource& source, RecordSink& sink);

} // namespace fettle::data
