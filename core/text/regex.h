#pragma once

#include "base/result.h"
#include "text/range.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::text {

/// A split pattern of tokenizer.json, as Oniguruma reads it, run by PCRE2 (UTF, UCP, JIT).
/// Rewritten on the way: \s without U+180E, \w with marks, \p{Han} by script. Immutable; threads
/// may share one.
class Regex
{
public:
    /// Errors: InvalidInput with PCRE2's reason; Unsupported naming the part that the two engines
    /// read differently.
    static Result<std::shared_ptr<const Regex>> compile(const std::string& pattern);
    ~Regex();
    Regex(const Regex&) = delete;
    Regex& operator=(const Regex&) = delete;

    /// All matches from left to right; `text` must be well-formed UTF-8. A pattern that runs into
    /// its step limit matches nothing from there on.
    void findAll(std::string_view text, std::vector<Range>& matches) const;

private:
    Regex() = default;

    struct Code;
    std::unique_ptr<Code> m_code;
};

/// The pattern in PCRE2's words; public for its test.
Result<std::string> toPcre(const std::string& pattern);

} // namespace fettle::text
