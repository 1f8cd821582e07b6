#include "text/jinja/parser.h"

namespace fettle::text::jinja {

ExprPtr ExprParser::list()
{
    const Level level(*this);
    expectOperator("[");
    std::vector<ExprPtr> items;
    while (!peek().isOperator("]")) {
        items.push_back(expression());
        if (!skipOperator(","))
            break;
    }
    expectOperator("]");
    return make(ExprKind::List, std::move(items));
}

ExprPtr ExprParser::dict()
{
    const Level level(*this);
    expectOperator("{");
    std::vector<ExprPtr> items;
    while (!peek().isOperator("}")) {
        items.push_back(expression());
        expectOperator(":");
        items.push_back(expression());
        if (!skipOperator(","))
            break;
    }
    expectOperator("}");
    return make(ExprKind::Dict, std::move(items));
}

ExprPtr ExprParser::postfix(ExprPtr node)
{
    while (true) {
        if (peek().isOperator(".") || peek().isOperator("[")) {
            node = subscript(std::move(node));
        } else if (peek().isOperator("(")) {
            std::vector<ExprPtr> parts;
            parts.push_back(std::move(node));
            node = make(ExprKind::Call, std::move(parts));
            arguments(*node);
        } else {
            return node;
        }
    }
}

ExprPtr ExprParser::subscript(ExprPtr object)
{
    std::vector<ExprPtr> parts;
    parts.push_back(std::move(object));
    if (skipOperator(".")) {
        const Token token = next();
        if (token.kind == TokenKind::Name)
            return make(ExprKind::Attribute, std::move(parts), token.text);
        if (token.kind != TokenKind::Integer)
            throw TemplateError("a name is missing behind the dot", token.line);
        auto index = make(ExprKind::Constant);
        index->constant = Value::integer(token.integer);
        parts.push_back(std::move(index));
        return make(ExprKind::Item, std::move(parts));
    }
    const Level level(*this);
    expectOperator("[");
    std::vector<ExprPtr> items;
    bool comma = false;
    while (!peek().isOperator("]")) {
        items.push_back(bounds());
        if (!skipOperator(","))
            break;
        comma = true;
    }
    if (items.empty())
        fail("an index is missing");
    expectOperator("]");
    if (!comma && items[0]->kind == ExprKind::Slice && items[0]->name == "bounds") {
        for (ExprPtr& bound : items[0]->parts)
            parts.push_back(std::move(bound));
        return make(ExprKind::Slice, std::move(parts));
    }
    parts.push_back(comma ? make(ExprKind::Tuple, std::move(items)) : std::move(items[0]));
    return make(ExprKind::Item, std::move(parts));
}

/// An index, or a Slice node named "bounds" whose parts are start, stop and step.
ExprPtr ExprParser::bounds()
{
    ExprPtr first = peek().isOperator(":") ? nullptr : expression();
    if (!peek().isOperator(":"))
        return first;
    std::vector<ExprPtr> parts;
    parts.push_back(std::move(first));
    while (parts.size() < 3 && skipOperator(":")) {
        const bool left =
            peek().isOperator(":") || peek().isOperator("]") || peek().isOperator(",");
        parts.push_back(left ? nullptr : expression());
    }
    parts.resize(3);
    return make(ExprKind::Slice, std::move(parts), "bounds");
}

void ExprParser::arguments(Expr& call)
{
    const Level level(*this);
    expectOperator("(");
    while (!peek().isOperator(")")) {
        if (skipOperator("**")) {
            call.spreadNamed = expression();
        } else if (skipOperator("*")) {
            call.spread = expression();
        } else if (peek().kind == TokenKind::Name && peek(1).isOperator("=")) {
            std::string name = next().text;
            next();
            call.named.emplace_back(std::move(name), expression());
        } else {
            if (!call.named.empty() || call.spread || call.spreadNamed)
                fail("an argument without name stands behind one with a name");
            call.parts.push_back(expression());
        }
        if (!skipOperator(","))
            break;
    }
    expectOperator(")");
    measure(call, peek().line);
}

ExprPtr ExprParser::filters(ExprPtr node, bool first)
{
    while (true) {
        if (first || skipOperator("|")) {
            first = false;
            std::string name = expectName("the name of a filter");
            while (skipOperator("."))
                name += "." + expectName("the name of a filter");
            std::vector<ExprPtr> parts;
            parts.push_back(std::move(node));
            node = make(ExprKind::Filter, std::move(parts), std::move(name));
            if (peek().isOperator("("))
                arguments(*node);
        } else if (skipName("is")) {
            node = test(std::move(node));
        } else if (peek().isOperator("(")) {
            std::vector<ExprPtr> parts;
            parts.push_back(std::move(node));
            node = make(ExprKind::Call, std::move(parts));
            arguments(*node);
        } else {
            return node;
        }
    }
}

ExprPtr ExprParser::test(ExprPtr operand)
{
    const bool negated = skipName("not");
    std::string name = expectName("the name of a test");
    std::vector<ExprPtr> parts;
    parts.push_back(std::move(operand));
    ExprPtr node = make(ExprKind::Test, std::move(parts), std::move(name));
    node->negated = negated;
    const Token& token = peek();
    const bool value = token.kind == TokenKind::String || token.kind == TokenKind::Integer ||
                       token.kind == TokenKind::Float || token.isOperator("[") ||
                       token.isOperator("{") ||
                       (token.kind == TokenKind::Name && token.text != "else" &&
                        token.text != "or" && token.text != "and");
    if (token.isOperator("(")) {
        arguments(*node);
    } else if (value && !token.isName("is") && !token.isName("if") && !token.isName("in") &&
               !token.isName("not")) {
        node->parts.push_back(postfix(primary()));
        measure(*node, peek().line);
    }
    return node;
}

} // namespace fettle::text::jinja
