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
    /// Errors: InvalidInput with PCRE2's reason, or when short plain texts already take the pattern
    /// more steps than findAll() has; Unsupported naming the part that the two engines read
    /// differently.
    static Result<std::shared_ptr<const Regex>> compile(const std::string& pattern);
    ~Regex();
    Regex(const Regex&) = delete;
    Regex& operator=(const Regex&) = delete;

    /// All matches from left to right; `text` must be well-formed UTF-8. Backtracking is bounded by
    /// the length of the text, and processor time to a second and 20 microseconds for each byte that is
    /// passed; a pattern that needs more matches nothing from there on, and the answer is false.
    bool findAll(std::string_view text, std::vector<Range>& matches) const;

    /// A lower bound for the bytes of a match; 0: it may be empty.
    std::size_t shortestMatch() const;

private:
    Regex() = default;

    struct Code;
    std::unique_ptr<Code> m_code;
};

/// The pattern in PCRE2's words; public for its test.
Result<std::string> toPcre(const std::string& pattern);

} // namespace fettle::text
