#pragma once

#include "text/jinja/value.h"

namespace fettle::text::jinja {

/// Python's str(): what {{ value }} prints.
Marked printed(const Value& value);
/// Python's repr(): strings in quotes.
Marked represented(const Value& value);
/// Python's repr() of a float.
std::string printedFloat(double value);

/// Settings of Python's json.dumps.
struct JsonStyle
{
    bool ensureAscii = false;
    bool sortKeys = false;
    std::optional<std::string> indent; // text of one level
    std::string itemSeparator = ", ", keySeparator = ": ";
};

/// Python's json.dumps. Throws TemplateError for what JSON cannot hold.
Marked toJsonText(const Value& value, const JsonStyle& style);

/// Python's white space.
bool isPythonSpace(char32_t c);

} // namespace fettle::text::jinja
