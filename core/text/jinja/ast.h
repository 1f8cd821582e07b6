#pragma once

#include "text/jinja/value.h"

namespace fettle::text::jinja {

enum class ExprKind
{
    Constant,
    Name,
    List,
    Tuple,
    Dict,
    Attribute,
    Item,
    Slice,
    Call,
    Filter,
    Test,
    Not,
    And,
    Or,
    Negate,
    Plus,
    Binary,
    Compare,
    Concat,
    Conditional
};

enum class Operation
{
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// One node of an expression. What `parts` holds depends on the kind: operands; object and index;
/// callee and arguments; keys and values in turn (Dict); condition, then, else (Conditional).
struct Expr
{
    ExprKind kind = ExprKind::Constant;
    int line = 0;
    int depth = 1;    // levels of nodes below and with this one
    std::string name; // of a name, attribute, filter or test
    Value constant;
    Operation operation = Operation::Add;
    std::vector<Operation> operations; // of a chain of comparisons
    std::vector<ExprPtr> parts;        // null: left out (bounds of a slice, missing else)
    std::vector<std::pair<std::string, ExprPtr>> named; // keyword arguments
    ExprPtr spread, spreadNamed;                        // *args, **kwargs
    bool negated = false;                               // "is not"
};

enum class StatementKind
{
    Data,
    Output,
    If,
    For,
    Set,
    SetBlock,
    Macro,
    CallBlock,
    FilterBlock,
    Generation,
    With,
    Break,
    Continue
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

/// What an assignment or a loop writes to: a name, an attribute of a namespace, or several.
struct Target
{
    std::string name, attribute;
    std::vector<Target> several;
};

struct Parameter
{
    std::string name;
    ExprPtr byDefault;
};

struct MacroData
{
    std::string name;
    std::vector<Parameter> parameters;
    Block body;
    bool usesVarargs = false, usesKwargs = false, usesCaller = false;
};

struct Statement
{
    StatementKind kind = StatementKind::Data;
    int line = 0;
    std::string text;                 // Data
    std::vector<ExprPtr> expressions; // Output; conditions of If; iterable and filter of For; value
                                      // of Set; chain of FilterBlock; values of With
    std::vector<Block>
        blocks;    // bodies of If (one more than conditions with else); body and else of For; body
    Target target; // For, Set, SetBlock
    std::vector<Target> targets;      // With
    std::shared_ptr<MacroData> macro; // Macro, CallBlock
};

/// A parsed template.
struct Program
{
    Block body;
    bool hasGeneration = false;
};

/// Throws TemplateError with the line.
std::shared_ptr<const Program> parse(const std::string& source);

} // namespace fettle::text::jinja
