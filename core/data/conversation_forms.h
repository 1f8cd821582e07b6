#pragma once

#include "data/forms.h"

namespace fettle::data {

/// OpenAI-style messages: checked, content parts joined, arguments of tool calls as text.
Result<std::vector<Json>> convertMessages(const OrderedJson& turns, const RepairCounter& repaired);

/// ShareGPT-style turns, with counted repairs: leading answers and trailing questions dropped,
/// turns of one side joined.
Result<std::vector<Json>> convertShareGpt(const OrderedJson& turns, const RepairCounter& repaired);

Json message(const std::string& role, std::string content);

} // namespace fettle::data
