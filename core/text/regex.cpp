#include "text/regex.h"

#include "text/newer_characters.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <fmt/format.h>
#include <pcre2.h>
#include <time.h>

namespace fettle::text {

namespace {

// White_Space without U+180E, which PCRE2 10.42 still counts as space.
constexpr const char* kSpaceSet =
    R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr const char* kNotSpaceSet =
    R"(\x{00}-\x{08}\x{0E}-\x{1F}\x{21}-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF})"
    R"(\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
// Marks and the circled letters are word characters in Oniguruma and not in PCRE2.
constexpr const char* kWordSet =
    R"(\p{L}\p{M}\p{N}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";

Error unsupported(const std::string& part)
{
    return {ErrorCode::Unsupported,
            fmt::format("the split pattern uses {}, which is not known here", part),
            "tokenizer.json", "Use a tokenizer without it, or ask for this form to be added"};
}

/// Walks over a pattern and writes it in PCRE2's words.
class Rewriter
{
public:
    explicit Rewriter(const std::string& pattern)
        : m_in(pattern)
    {
    }

    Result<std::string> run()
    {
        while (m_at < m_in.size()) {
            if (auto step = one(); !step)
                return step.error();
        }
        return m_out;
    }

private:
    Result<void> one()
    {
        const char c = m_in[m_at];
        if (c == '\\')
            return escape();
        if (m_inClass) {
            if (c == ']' && m_at > m_classStart)
                m_inClass = false;
            else if (c == '[')
                return unsupported("a class inside a class");
            else if (c == '&' && m_in.compare(m_at, 2, "&&") == 0)
                return unsupported("an intersection of classes");
        } else if (c == '[') {
            m_inClass = true;
            m_classStart = m_at + 1;
            if (m_in.compare(m_at, 2, "[^") == 0) {
                m_out += m_in[m_at++];
                ++m_classStart;
            }
        } else if (c == '}' && m_in.compare(m_at, 2, "}+") == 0 && !m_out.empty()) {
            // Possessive in PCRE2, a second repetition in Oniguruma.
            return unsupported("{n,m}+");
        } else if (m_in.compare(m_at, 2, "(?") == 0) {
            for (std::size_t i = m_at + 2;
                 i < m_in.size() && (std::isalpha(uchar(i)) || m_in[i] == '-'); ++i) {
                if (m_in[i] != 'i' && m_in[i] != '-')
                    return unsupported(fmt::format("the option (?{})", m_in[i]));
            }
        }
        m_out += m_in[m_at++];
        return {};
    }

    Result<void> escape()
    {
        if (m_at + 1 >= m_in.size())
            return unsupported("a backslash at the end");
        const char c = m_in[m_at + 1];
        m_at += 2;
        switch (c) {
        case 's':
        case 'S':
            put(c == 's' ? kSpaceSet : kNotSpaceSet);
            return {};
        case 'w':
            put(kWordSet);
            return {};
        case 'W':
            if (m_inClass)
                return unsupported("\\W inside a class");
            m_out += fmt::format("[^{}]", kWordSet);
            return {};
        case 'b':
            if (!m_inClass) {
                m_out += fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", kWordSet);
                return {};
            }
            break;
        case 'p':
        case 'P':
            return property(c);
        case 'h':
        case 'H':
        case 'B':
        case 'K':
        case 'C': // one byte: what matches would not be well-formed text
        case 'g':
        case 'k':
        case 'Q':
        case 'y':
        case 'Y':
            return unsupported(fmt::format("\\{}", c));
        default:
            break;
        }
        m_out += '\\';
        m_out += c;
        return {};
    }

    Result<void> property(char kind)
    {
        const auto close = m_in.find('}', m_at);
        if (m_at >= m_in.size() || m_in[m_at] != '{' || close == std::string::npos)
            return unsupported("\\p without a name in braces");
        std::string name = m_in.substr(m_at + 1, close - m_at - 1);
        m_at = close + 1;
        const bool negated = !name.empty() && name[0] == '^';
        const std::string bare = negated ? name.substr(1) : name;
        // Scripts by script, not by script extensions, as Oniguruma has it.
        for (const char* script : {"Han", "Hiragana", "Katakana", "Hangul", "Latin", "Cyrillic",
                                   "Greek", "Arabic", "Hebrew", "Thai", "Devanagari"}) {
            if (bare == script)
                name = fmt::format("{}sc:{}", negated ? "^" : "", script);
        }
        m_out += fmt::format("\\{}{{{}}}", kind, name);
        return {};
    }

    void put(const char* set) { m_out += m_inClass ? std::string(set) : fmt::format("[{}]", set); }
    unsigned char uchar(std::size_t i) const { return static_cast<unsigned char>(m_in[i]); }

    const std::string& m_in;
    std::string m_out;
    std::size_t m_at = 0;
    bool m_inClass = false;
    std::size_t m_classStart = 0;
};

/// Match data and a JIT stack of this thread, made at first use.
struct Scratch
{
    Scratch()
        : data(pcre2_match_data_create(1, nullptr))
        , context(pcre2_match_context_create(nullptr))
        , stack(pcre2_jit_stack_create(32 * 1024, 8 * 1024 * 1024, nullptr))
    {
        pcre2_jit_stack_assign(context, nullptr, stack);
        pcre2_set_heap_limit(context, 64 * 1024); // kB
    }
    ~Scratch()
    {
        pcre2_match_data_free(data);
        pcre2_match_context_free(context);
        pcre2_jit_stack_free(stack);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    pcre2_match_data* data;
    pcre2_match_context* context;
    pcre2_jit_stack* stack;
};

/// Of this thread, whatever else the machine does.
double processorSeconds()
{
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

/// The steps that one text may take. PCRE2 tells no count, so a match is tried with few steps first
/// and with eight times as many when they were not enough: what a try was allowed is what it costs.
/// It does not count letters that one repetition goes over; where each match goes over all that
/// follow, time tells: hundreds of times what the patterns of published tokenizers need.
class StepBudget
{
public:
    explicit StepBudget(std::size_t textBytes)
        : m_left(100'000 + 1'000 * std::uint64_t{textBytes})
    {
    }

    /// As pcre2_match(); PCRE2_ERROR_MATCHLIMIT when nothing is left.
    int match(const pcre2_code* code, std::string_view text, std::size_t at, Scratch& scratch)
    {
        if (++m_matches % 64 == 0 && tooSlow(at))
            return PCRE2_ERROR_MATCHLIMIT;
        const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
        std::uint32_t options = PCRE2_NO_UTF_CHECK;
        for (std::uint32_t limit = 100; limit <= std::min(m_left, kMostSteps); limit *= 8) {
            pcre2_set_match_limit(scratch.context, limit);
            int found = pcre2_match(code, subject, text.size(), at, options, scratch.data,
                                    scratch.context);
            if (found == PCRE2_ERROR_JIT_STACKLIMIT) { // the interpreter's frames are on the heap
                options |= PCRE2_NO_JIT;
                found = pcre2_match(code, subject, text.size(), at, options, scratch.data,
                                    scratch.context);
            }
            m_left -= limit;
            if (found != PCRE2_ERROR_MATCHLIMIT)
                return found;
        }
        return PCRE2_ERROR_MATCHLIMIT;
    }

private:
    static constexpr std::uint64_t kMostSteps = 20'000'000; // of one match

    bool tooSlow(std::size_t at)
    {
        constexpr double kFree = 1, kForByte = 20e-6;
        if (m_matches == 64)
            m_begun = processorSeconds();
        return processorSeconds() - m_begun > kFree + kForByte * static_cast<double>(at);
    }

    std::uint64_t m_left, m_matches = 0;
    double m_begun = 0;
};

std::size_t afterCodePoint(std::string_view text, std::size_t at)
{
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80)
        ++at;
    return at;
}

} // namespace

struct Regex::Code
{
    ~Code() { pcre2_code_free(code); }
    pcre2_code* code = nullptr;
};

Result<std::string> toPcre(const std::string& pattern) { return Rewriter(pattern).run(); }

Regex::~Regex() = default;

Result<std::shared_ptr<const Regex>> Regex::compile(const std::string& pattern)
{
    auto rewritten = toPcre(pattern);
    if (!rewritten)
        return rewritten.error();
    int code = 0;
    PCRE2_SIZE offset = 0;
    auto* context = pcre2_compile_context_create(nullptr);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    // ^ and $ mean lines in Oniguruma's default syntax.
    auto* compiled = pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(rewritten->data()), rewritten->size(),
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!compiled) {
        char reason[200] = {};
        pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(reason), sizeof reason);
        return Error{ErrorCode::InvalidInput, fmt::format("a pattern is not valid: {}", reason),
                     "tokenizer.json", "Correct the pattern in the file"};
    }
    pcre2_jit_compile(compiled,
                      PCRE2_JIT_COMPLETE); // without JIT matching is slower, not different
    std::shared_ptr<Regex> regex(new Regex);
    regex->m_code = std::make_unique<Code>();
    regex->m_code->code = compiled;
    std::vector<Range> matches;
    for (const char* letters : {"a", " ", "1", "ab ", "A-", "\n"}) {
        std::string text;
        while (text.size() < 300)
            text += letters;
        if (!regex->findAll(text + "!", matches))
            return Error{ErrorCode::InvalidInput,
                         "a pattern takes far more steps than the text has letters",
                         "tokenizer.json",
                         "Use a tokenizer whose patterns do not repeat a repetition"};
    }
    return std::shared_ptr<const Regex>(std::move(regex));
}

std::size_t Regex::shortestMatch() const
{
    std::uint32_t characters = 0;
    pcre2_pattern_info(m_code->code, PCRE2_INFO_MINLENGTH, &characters);
    return characters;
}

bool Regex::findAll(std::string_view text, std::vector<Range>& matches) const
{
    static thread_local Scratch scratch;
    const std::string replaced = withStandIns(text);
    if (!replaced.empty())
        text = replaced;
    std::size_t at = 0, lastEnd = 0;
    bool any = false;
    StepBudget budget(text.size());
    while (at <= text.size()) {
        const int found = budget.match(m_code->code, text, at, scratch);
        if (found < 0)
            return found == PCRE2_ERROR_NOMATCH;
        const auto* ends = pcre2_get_ovector_pointer(scratch.data);
        const Range range{ends[0], ends[1]};
        const bool empty = range.begin == range.end;
        if (!(empty && any && range.begin == lastEnd)) {
            matches.push_back(range);
            lastEnd = range.end;
            any = true;
        }
        at = empty ? afterCodePoint(text, range.end) : range.end;
    }
    return true;
}

} // namespace fettle::text
