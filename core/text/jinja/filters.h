#pragma once

#include "text/jinja/evaluator.h"

namespace fettle::text::jinja {

// The filters by theme; findFilter() asks one table after the other. Null: not in this one.
FilterFunction findTextFilter(std::string_view name);
FilterFunction findListFilter(std::string_view name);
FilterFunction findNumberFilter(std::string_view name);

/// JSON text to a value; its strings are user text.
Value fromJsonText(Evaluator& evaluator, const std::string& text);

} // namespace fettle::text::jinja
