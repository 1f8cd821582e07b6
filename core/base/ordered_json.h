#pragma once

#include "base/json.h"

namespace fettle {

/// As parseJson(), and the keys stay in the text's order: for what is rendered or stored as it was
/// written (messages, tools).
Result<OrderedJson> parseOrderedJson(std::string_view text, const std::string& where,
                                     bool pythonNumbers = false);

/// As readJsonFile(), and the keys stay in the file's order.
Result<OrderedJson> readOrderedJsonFile(const std::filesystem::path& path,
                                        std::uint64_t maxBytes = 512u << 20);

} // namespace fettle
