#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/printing.h"

#include <ctime>
#include <deque>

namespace fettle::text::jinja {

/// Runs one template once. Everything that a template can do is in this class, the filters, the
/// tests and the methods; none of them reaches out of the process. Throws TemplateError.
class Evaluator
{
public:
    Evaluator(const Program& program, std::tm now);
    ~Evaluator();

    void define(const std::string& name, Value value) { m_scope->set(name, std::move(value)); }
    Marked run();

    // What filters, tests, methods and functions use.
    Value text(Marked text, bool markup = false);
    Value text(std::string text, Origin origin)
    {
        return this->text(Marked(std::move(text), origin));
    }
    Value list(std::vector<Value> items, ListKind kind = ListKind::List);
    /// `message`: number of the message that the dict is; -1: none.
    Value dict(std::vector<std::pair<Value, Value>> entries, std::int32_t message = -1);
    Value space();
    Budget& budget() { return m_budget; }
    const std::tm& now() const { return m_now; }

    /// The items of what a loop goes over: lists, keys of dicts, characters of strings.
    std::vector<Value> iterate(const Value& value);
    Value attribute(const Value& object, const std::string& name);
    Value item(const Value& object, const Value& key);
    /// "a.b.0" as filters take it.
    Value attributePath(const Value& object, const Value& path);
    Value call(const Value& callee, const Arguments& arguments);
    Value filter(const std::string& name, const Value& input, const Arguments& arguments);
    bool test(const std::string& name, const Value& input, const Arguments& arguments);
    Value binary(Operation operation, const Value& left, const Value& right);
    bool compare(Operation operation, const Value& left, const Value& right);
    /// Throws when the value is undefined, with its hint.
    static void need(const Value& value);

private:
    enum class Flow
    {
        Normal,
        Break,
        Continue
    };

    Value evaluate(const Expr& node);
    Value evaluateNode(const Expr& node);
    Value literal(const Expr& node);
    Value logic(const Expr& node);
    Value compareChain(const Expr& node);
    Value concat(const Expr& node);
    Value slice(const Expr& node);
    Arguments arguments(const Expr& node);
    std::shared_ptr<Scope> macroScope(const Callable& callable, const Arguments& arguments);
    Value callMacro(const Callable& callable, const Arguments& arguments);
    Value makeMacro(const std::shared_ptr<const MacroData>& macro);

    Flow execute(const Block& block);
    Flow execute(const Statement& statement);
    void filteredBody(const Statement& statement);
    void generation(const Statement& statement);
    void with(const Statement& statement);
    Flow forLoop(const Statement& statement);
    bool loopBody(const Statement& statement, const std::shared_ptr<LoopState>& loop);
    void inScope(const std::shared_ptr<Scope>& scope, const Block& block);
    Marked capture(const Block& block, const std::shared_ptr<Scope>& scope);
    void assign(const Target& target, Value value);
    void write(const Marked& text);
    std::shared_ptr<Scope> inner() const;

    const Program& m_program;
    std::tm m_now;
    Budget m_budget; // outlives every value
    std::deque<Namespace> m_spaces;
    std::shared_ptr<Scope> m_scope;
    Marked m_root;
    Marked* m_out = &m_root;
    bool m_generation = false;
    std::int32_t m_turn = -1; // the message that a loop is at
    int m_evalDepth = 0, m_macroDepth = 0, m_loopDepth = 0;
};

using FilterFunction = Value (*)(Evaluator&, const Value&, const Arguments&);
using TestFunction = bool (*)(Evaluator&, const Value&, const Arguments&);
using MethodFunction = Value (*)(Evaluator&, const Callable&, const Arguments&);

/// Null when there is none of that name.
FilterFunction findFilter(std::string_view name);
TestFunction findTest(std::string_view name);
/// Methods of strings, lists, dicts and loops. `forbidden` is set for methods that would change the
/// object.
MethodFunction findMethod(const Value& object, std::string_view name, bool& forbidden);
/// The functions that every template has: range, namespace, dict, raise_exception, strftime_now.
void defineGlobals(Evaluator& evaluator);

// Helpers for filters and methods.
std::int64_t integerArgument(const Arguments& arguments, std::string_view name,
                             std::size_t position, std::int64_t byDefault);
bool flagArgument(const Arguments& arguments, std::string_view name, std::size_t position,
                  bool byDefault);
/// Null when it is not given or None. Throws when it is no string.
const Marked* textArgument(const Arguments& arguments, std::string_view name, std::size_t position);
const Marked& needText(const Value& value, const char* what);

// On strings, by code points; each character keeps its origin.
std::size_t codePoints(std::string_view text);
/// Where `part` lies in `text` from `from` on; npos when nowhere. Linear time.
std::size_t findFrom(const std::string& text, const std::string& part, std::size_t from);
/// Throws when a search from the right in texts of these sizes could take too long.
void checkSearch(std::size_t text, std::size_t part);
/// Characters with a meaning in HTML written as entities.
Marked escaped(const Marked& text);
Marked stripped(const Marked& text, const Marked* characters, bool left, bool right);
Marked replaced(Evaluator& evaluator, const Marked& text, const Marked& from, const Marked& to,
                std::int64_t count);
enum class Casing
{
    Upper,
    Lower,
    Capitalize,
    Title
};
Marked cased(const Marked& text, Casing casing);
std::vector<Marked> split(const Marked& text, const Marked* separator, std::int64_t most,
                          bool fromRight);
std::vector<Marked> splitLines(const Marked& text);

} // namespace fettle::text::jinja
