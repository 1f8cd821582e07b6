#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace fettle::text::jinja {

// Published templates stay far below these; hostile ones meet them within a second.
constexpr std::size_t kMaxSource = 1 << 20;
constexpr int kMaxParseDepth = 256;
constexpr int kMaxTreeDepth = 400;
constexpr int kMaxMacroDepth = 64;
constexpr int kMaxEvalDepth = 1000;
constexpr int kMaxValueDepth = 64;
constexpr std::int64_t kMaxSteps = 1'000'000;
constexpr std::size_t kMaxOutput = 16u << 20;
constexpr std::int64_t kMaxRange = 100'000;
constexpr std::size_t kMaxRuns = 1 << 20;
constexpr std::size_t kMaxLive = 48u << 20;

/// A template that is wrong or goes too far; the sentence is for people. Caught at the edge of the
/// engine.
struct TemplateError : std::runtime_error
{
    explicit TemplateError(const std::string& what, int atLine = 0)
        : std::runtime_error(what)
        , line(atLine)
    {
    }
    int line;
};

/// What one render may use: steps and memory.
class Budget
{
public:
    Budget()
        : m_outer(std::exchange(s_current, this))
    {
    }
    ~Budget() { s_current = m_outer; }
    Budget(const Budget&) = delete;
    Budget& operator=(const Budget&) = delete;

    /// A step of the render that runs in this thread, for functions that do not know it.
    static void stepCurrent()
    {
        if (s_current)
            s_current->step();
    }

    void step(std::int64_t count = 1)
    {
        m_steps += count;
        if (m_steps > kMaxSteps)
            throw TemplateError("the template takes more than 1,000,000 steps");
    }
    void take(std::size_t bytes)
    {
        if (bytes > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
        m_live += bytes;
        if (m_live > kMaxLive)
            throw TemplateError("the template uses more than 48 MB of memory");
        step(static_cast<std::int64_t>(bytes / 256));
    }
    void giveBack(std::size_t bytes) { m_live -= bytes; }

private:
    inline static thread_local Budget* s_current = nullptr;
    Budget* const m_outer;
    std::int64_t m_steps = 0;
    std::size_t m_live = 0;
};

/// Memory taken from a budget, given back at the end of its owner.
class Charge
{
public:
    Charge() = default;
    Charge(Budget* budget, std::size_t bytes)
        : m_budget(budget)
        , m_bytes(bytes)
    {
        if (m_budget)
            m_budget->take(bytes);
    }
    Charge(Charge&& other) noexcept
        : m_budget(std::exchange(other.m_budget, nullptr))
        , m_bytes(other.m_bytes)
    {
    }
    Charge& operator=(Charge&& other) noexcept
    {
        std::swap(m_budget, other.m_budget);
        std::swap(m_bytes, other.m_bytes);
        return *this;
    }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge()
    {
        if (m_budget)
            m_budget->giveBack(m_bytes);
    }

private:
    Budget* m_budget = nullptr;
    std::size_t m_bytes = 0;
};

} // namespace fettle::text::jinja
