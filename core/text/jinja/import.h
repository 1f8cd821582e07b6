#pragma once

#include "base/json.h"
#include "text/jinja/evaluator.h"

namespace fettle::text::jinja {

/// JSON as a template's value. Strings are user text, but for the roles system, user, assistant and
/// tool under the key "role", which templates build their marks from.
Value fromJson(Evaluator& evaluator, const Json& json, bool message = false);

} // namespace fettle::text::jinja
