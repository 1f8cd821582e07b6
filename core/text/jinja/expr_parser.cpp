#include "text/jinja/parser.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

enum Precedence
{
    kOr = 1,
    kAnd,
    kNot,
    kCompare,
    kSum,
    kConcat,
    kProduct,
    kPower
};

std::optional<Operation> arithmetic(const Token& token)
{
    static constexpr std::pair<const char*, Operation> kAll[] = {
        {"+", Operation::Add},    {"-", Operation::Subtract},     {"*", Operation::Multiply},
        {"/", Operation::Divide}, {"//", Operation::FloorDivide}, {"%", Operation::Modulo},
        {"**", Operation::Power}};
    for (const auto& [name, operation] : kAll) {
        if (token.isOperator(name))
            return operation;
    }
    return std::nullopt;
}

std::optional<Operation> comparing(const Token& token)
{
    static constexpr std::pair<const char*, Operation> kAll[] = {
        {"==", Operation::Equal},     {"!=", Operation::NotEqual}, {"<", Operation::Less},
        {"<=", Operation::LessEqual}, {">", Operation::Greater},   {">=", Operation::GreaterEqual}};
    for (const auto& [name, operation] : kAll) {
        if (token.isOperator(name))
            return operation;
    }
    return token.isName("in") ? std::optional(Operation::In) : std::nullopt;
}

Value textConstant(std::string text)
{
    auto node = std::make_shared<TextNode>();
    node->text = Marked(std::move(text), kTrusted);
    return Value(Value::Data(std::shared_ptr<const TextNode>(std::move(node))));
}

} // namespace

ExprParser::Level::Level(ExprParser& parser)
    : m_parser(parser)
{
    if (++m_parser.m_depth > kMaxParseDepth)
        parser.fail(fmt::format("the template is nested deeper than {} levels", kMaxParseDepth));
}

const Token& ExprParser::peek(std::size_t ahead) const
{
    return m_tokens[std::min(m_at + ahead, m_tokens.size() - 1)];
}

Token ExprParser::next()
{
    Token token = peek();
    if (m_at + 1 < m_tokens.size())
        ++m_at;
    return token;
}

bool ExprParser::skipName(const char* name)
{
    const bool found = peek().isName(name);
    if (found)
        next();
    return found;
}

bool ExprParser::skipOperator(const char* name)
{
    const bool found = peek().isOperator(name);
    if (found)
        next();
    return found;
}

void ExprParser::expectOperator(const char* name)
{
    if (!skipOperator(name))
        fail(fmt::format("\"{}\" is missing", name));
}

std::string ExprParser::expectName(const char* what)
{
    if (peek().kind != TokenKind::Name)
        fail(fmt::format("{} is missing", what));
    return next().text;
}

void ExprParser::fail(const std::string& what) const { throw TemplateError(what, peek().line); }

void ExprParser::measure(Expr& node, int line)
{
    const auto deeper = [&](const ExprPtr& part) {
        if (part)
            node.depth = std::max(node.depth, part->depth + 1);
    };
    std::for_each(node.parts.begin(), node.parts.end(), deeper);
    for (const auto& [name, part] : node.named)
        deeper(part);
    deeper(node.spread);
    deeper(node.spreadNamed);
    if (node.depth > kMaxTreeDepth)
        throw TemplateError(fmt::format("an expression has more than {} levels", kMaxTreeDepth),
                            line);
}

ExprPtr ExprParser::make(ExprKind kind, std::vector<ExprPtr> parts, std::string name)
{
    auto node = std::make_unique<Expr>();
    node->kind = kind;
    node->line = peek().line;
    node->name = std::move(name);
    node->parts = std::move(parts);
    measure(*node, node->line);
    return node;
}

ExprPtr ExprParser::expression(bool conditional)
{
    const Level level(*this);
    ExprPtr value = binary(kOr);
    while (conditional && skipName("if")) {
        ExprPtr condition = binary(kOr);
        ExprPtr otherwise = skipName("else") ? expression() : nullptr;
        std::vector<ExprPtr> parts;
        parts.push_back(std::move(condition));
        parts.push_back(std::move(value));
        parts.push_back(std::move(otherwise));
        value = make(ExprKind::Conditional, std::move(parts));
    }
    return value;
}

int ExprParser::levelOf(const Token& token) const
{
    if (token.kind == TokenKind::Name) {
        if (token.text == "or")
            return kOr;
        if (token.text == "and")
            return kAnd;
        const bool notIn = token.text == "not" && peek(1).isName("in");
        return token.text == "in" || notIn ? kCompare : 0;
    }
    if (token.kind != TokenKind::Operator)
        return 0;
    if (token.text == "~")
        return kConcat;
    if (token.text == "**")
        return kPower;
    if (arithmetic(token))
        return token.text == "+" || token.text == "-" ? kSum : kProduct;
    return comparing(token) ? kCompare : 0;
}

ExprPtr ExprParser::prefixed(int lowest)
{
    if (lowest > kNot || !peek().isName("not"))
        return unary();
    const Level level(*this);
    next();
    std::vector<ExprPtr> parts;
    parts.push_back(binary(kNot));
    return make(ExprKind::Not, std::move(parts));
}

ExprPtr ExprParser::binary(int lowest)
{
    ExprPtr left = prefixed(lowest);
    while (true) {
        const Token& token = peek();
        const int level = levelOf(token);
        if (level == 0 || level < lowest)
            return left;
        if (level == kCompare) {
            left = comparison(std::move(left));
            continue;
        }
        std::vector<ExprPtr> parts;
        parts.push_back(std::move(left));
        if (level == kConcat) {
            while (skipOperator("~"))
                parts.push_back(binary(kProduct));
            left = make(ExprKind::Concat, std::move(parts));
            continue;
        }
        const Token oper = next();
        parts.push_back(binary(level + 1));
        const ExprKind kind = level == kOr    ? ExprKind::Or
                              : level == kAnd ? ExprKind::And
                                              : ExprKind::Binary;
        left = make(kind, std::move(parts));
        if (kind == ExprKind::Binary)
            left->operation = *arithmetic(oper);
    }
}

ExprPtr ExprParser::comparison(ExprPtr left)
{
    std::vector<ExprPtr> parts;
    std::vector<Operation> operations;
    parts.push_back(std::move(left));
    while (true) {
        if (peek().isName("not") && peek(1).isName("in")) {
            next();
            operations.push_back(Operation::NotIn);
        } else if (const auto operation = comparing(peek())) {
            operations.push_back(*operation);
        } else {
            break;
        }
        next();
        parts.push_back(binary(kSum));
    }
    ExprPtr node = make(ExprKind::Compare, std::move(parts));
    node->operations = std::move(operations);
    return node;
}

ExprPtr ExprParser::unary(bool withFilters)
{
    ExprPtr node;
    if (peek().isOperator("-") || peek().isOperator("+")) {
        const Level level(*this);
        const bool minus = next().text == "-";
        std::vector<ExprPtr> parts;
        parts.push_back(unary(false));
        node = make(minus ? ExprKind::Negate : ExprKind::Plus, std::move(parts));
    } else {
        node = primary();
    }
    node = postfix(std::move(node));
    return withFilters ? filters(std::move(node), false) : std::move(node);
}

void ExprParser::noteName(const std::string& name)
{
    for (MacroData* macro : m_macros) {
        macro->usesVarargs |= name == "varargs";
        macro->usesKwargs |= name == "kwargs";
        macro->usesCaller |= name == "caller";
    }
}

ExprPtr ExprParser::primary()
{
    static constexpr const char* kReserved[] = {"and", "or",   "not",  "in", "is",
                                                "if",  "else", "elif", "for"};
    const Token token = peek();
    if (token.isOperator("("))
        return next(), tuple(true, true);
    if (token.isOperator("["))
        return list();
    if (token.isOperator("{"))
        return dict();
    next();
    ExprPtr node = make(ExprKind::Constant);
    if (token.kind == TokenKind::String) {
        std::string text = token.text;
        while (peek().kind == TokenKind::String)
            text += next().text;
        node->constant = textConstant(std::move(text));
    } else if (token.kind == TokenKind::Integer) {
        node->constant = Value::integer(token.integer);
    } else if (token.kind == TokenKind::Float) {
        node->constant = Value::number(token.number);
    } else if (token.kind != TokenKind::Name ||
               std::any_of(std::begin(kReserved), std::end(kReserved),
                           [&](const char* word) { return token.text == word; })) {
        throw TemplateError("an expression is missing or not understood", token.line);
    } else if (token.text == "true" || token.text == "True" || token.text == "false" ||
               token.text == "False") {
        node->constant = Value::boolean(token.text == "true" || token.text == "True");
    } else if (token.text == "none" || token.text == "None") {
        node->constant = Value::none();
    } else {
        node->kind = ExprKind::Name;
        node->name = token.text;
        noteName(token.text);
    }
    return node;
}

ExprPtr ExprParser::tuple(bool conditional, bool parentheses, const char* endName)
{
    const Level level(*this);
    std::vector<ExprPtr> items;
    bool comma = false;
    const auto ends = [&] {
        const TokenKind kind = peek().kind;
        return kind == TokenKind::OutputEnd || kind == TokenKind::BlockEnd ||
               peek().isOperator(")") || (endName && peek().isName(endName));
    };
    while (!ends()) {
        items.push_back(expression(conditional));
        if (!skipOperator(","))
            break;
        comma = true;
    }
    if (items.empty() && !parentheses)
        fail("an expression is missing");
    if (parentheses)
        expectOperator(")");
    if (items.size() == 1 && !comma)
        return std::move(items[0]);
    return make(ExprKind::Tuple, std::move(items));
}

} // namespace fettle::text::jinja
