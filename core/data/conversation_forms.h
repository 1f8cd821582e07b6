#pragma once

#include "data/forms.h"

namespace fettle::data {

/// OpenAI-style messages: checked, content parts joined; what else they hold stays,
/// in its order.
Result<std::vector<OrderedJson>> convertMessages(const OrderedJson& turns,
                                                 const RepairCounter& repaired);

/// ShareGPT-style turns, with counted repairs: leading answers and trailing questions dropped,
/// turns of one side joined.
Result<std::vector<OrderedJson>> convertShareGpt(const OrderedJson& turns,
                                                 const RepairCounter& repaired);

/// Tools of a row: a list of objects, or the same as JSON text. Null when there are none.
Result<OrderedJson> convertTools(const OrderedJson& tools);

OrderedJson message(const std::string& role, std::string content);

} // namespace fettle::data
