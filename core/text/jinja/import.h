#pragma once

#include "base/json.h"
#include "text/jinja/evaluator.h"

namespace fettle::text::jinja {

/// Text that comes from no message: tools, documents and whatever else is given to a template.
constexpr std::int32_t kNoMessage = INT32_MAX;

/// JSON as a template's value, keys in their order. Strings are user text of message `message`, but
/// for a message's own role where it is system, user, assistant or tool: templates build their
/// marks from it.
Value fromJson(Evaluator& evaluator, const OrderedJson& json, std::int32_t message = kNoMessage);

} // namespace fettle::text::jinja
