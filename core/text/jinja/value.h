#pragma once

#include "text/jinja/budget.h"
#include "text/jinja/provenance.h"

#include <memory>
#include <optional>
#include <variant>

namespace fettle::text::jinja {

class Value;
struct TextNode;
struct ListNode;
struct DictNode;
struct Namespace;
struct Callable;
struct LoopState;

/// A name, attribute or item that is not there. Prints as nothing; most uses are errors that say
/// the hint.
struct Undefined
{
    std::shared_ptr<const std::string> hint;
};
struct None
{
};

/// A value as a template sees it, with Python's meaning. Cheap to copy; what it holds never
/// changes, but for namespaces.
class Value
{
public:
    using Data =
        std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const TextNode>,
                     std::shared_ptr<const ListNode>, std::shared_ptr<const DictNode>, Namespace*,
                     std::shared_ptr<const Callable>, std::shared_ptr<const LoopState>>;

    Value() = default;
    Value(Data data)
        : m_data(std::move(data))
    {
    }
    static Value undefined(std::string hint);
    static Value none() { return Value(Data(None{})); }
    static Value boolean(bool value) { return Value(Data(value)); }
    static Value integer(std::int64_t value) { return Value(Data(value)); }
    static Value number(double value) { return Value(Data(value)); }

    bool isUndefined() const { return std::holds_alternative<Undefined>(m_data); }
    bool isNone() const { return std::holds_alternative<None>(m_data); }
    bool isBoolean() const { return std::holds_alternative<bool>(m_data); }
    bool isInteger() const { return std::holds_alternative<std::int64_t>(m_data); }
    bool isFloat() const { return std::holds_alternative<double>(m_data); }
    bool isNumber() const { return isBoolean() || isInteger() || isFloat(); }
    const Marked* text() const; ///< null when it is no string
    bool isMarkup() const;
    const ListNode* list() const; ///< lists, tuples, views, generators
    const DictNode* dict() const;
    Namespace* space() const;
    const Callable* callable() const;
    const LoopState* loop() const;
    const Data& data() const { return m_data; }

    /// Whole number of a bool or int.
    std::optional<std::int64_t> asInteger() const;
    std::optional<double> asNumber() const;
    int depth() const; ///< levels of lists and dicts inside

private:
    Data m_data;
};

struct TextNode
{
    Marked text;
    bool markup = false; // of the filters safe and escape: what is added to it is escaped
    Charge charge;
};

enum class ListKind
{
    List,
    Tuple,
    Range,
    Keys,
    Values,
    Items,
    Generator
};

struct ListNode
{
    std::vector<Value> items;
    ListKind kind = ListKind::List;
    int depth = 1;
    Charge charge;
    mutable bool consumed = false; // generators give their items once
};

/// Keeps the order of insertion. Looked through from the front: template dicts are small, and the
/// budget counts the way.
struct DictNode
{
    std::vector<std::pair<Value, Value>> entries;
    int depth = 1;
    std::int32_t message = -1; // number of the message that it is
    Charge charge;

    const Value* find(const Value& key) const;
    const Value* find(std::string_view key) const;
};

/// The one thing that a template may change. Belongs to the render, so that it may hold itself.
struct Namespace
{
    std::vector<std::pair<std::string, Value>> entries;
};

/// State of a running loop: the variable "loop".
struct LoopState
{
    std::shared_ptr<const ListNode> items;
    std::size_t index = 0;
    int depth0 = 0;
    mutable std::optional<std::vector<Value>> lastChanged; // of loop.changed()
};

struct Arguments
{
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    const Value* find(std::string_view name, std::size_t position) const;
};

class Evaluator;
struct MacroData;

/// Names and what they mean, from the inside out.
struct Scope
{
    std::vector<std::pair<std::string, Value>> names;
    std::shared_ptr<Scope> outer;

    void set(const std::string& name, Value value);
    const Value* find(const std::string& name) const; ///< here or further out
};

/// A function, a method bound to its object, or a macro.
struct Callable
{
    std::string name;
    Value self; // of a method
    Value (*function)(Evaluator&, const Callable&, const Arguments&) = nullptr;
    std::shared_ptr<const MacroData> macro;
    std::weak_ptr<Scope> home; // of a macro: where it was defined; weak, since that place holds it
};

/// Python's == : numbers by value, strings, lists and dicts by content.
bool equal(const Value& a, const Value& b);
/// Python's truth.
bool truthy(const Value& value);
/// Python's name of the type: "str", "int", "list".
const char* typeName(const Value& value);

} // namespace fettle::text::jinja
