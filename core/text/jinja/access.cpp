#include "text/jinja/evaluator.h"
#include "text/unicode.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

/// Where the code points of a text begin. Without a table where every byte is one.
class Offsets
{
public:
    explicit Offsets(const Marked& text)
        : m_count(codePoints(text.text()))
    {
        if (m_count == text.size())
            return;
        m_table.reserve(m_count + 1);
        for (std::size_t at = 0; at < text.size();) {
            m_table.push_back(static_cast<std::uint32_t>(at));
            decodeValid(text.text().data(), at);
        }
        m_table.push_back(static_cast<std::uint32_t>(text.size()));
    }
    std::int64_t count() const { return static_cast<std::int64_t>(m_count); }
    std::size_t operator[](std::size_t i) const { return m_table.empty() ? i : m_table[i]; }

private:
    std::size_t m_count;
    std::vector<std::uint32_t> m_table;
};

Value loopAttribute(Evaluator& evaluator, const LoopState& loop, const std::string& name)
{
    const auto& items = loop.items->items;
    const auto index = static_cast<std::int64_t>(loop.index),
               length = static_cast<std::int64_t>(items.size());
    if (name == "index")
        return Value::integer(index + 1);
    if (name == "index0")
        return Value::integer(index);
    if (name == "revindex")
        return Value::integer(length - index);
    if (name == "revindex0")
        return Value::integer(length - index - 1);
    if (name == "first")
        return Value::boolean(index == 0);
    if (name == "last")
        return Value::boolean(index + 1 == length);
    if (name == "length")
        return Value::integer(length);
    if (name == "depth")
        return Value::integer(loop.depth0 + 1);
    if (name == "depth0")
        return Value::integer(loop.depth0);
    if (name == "previtem")
        return index > 0 ? items[loop.index - 1] : Value::undefined("there is no previous item");
    if (name == "nextitem")
        return index + 1 < length ? items[loop.index + 1]
                                  : Value::undefined("there is no next item");
    (void)evaluator;
    return Value::undefined(fmt::format("the loop has no '{}'", name));
}

Value missing(const Value& object, const std::string& name)
{
    return Value::undefined(fmt::format("{} has no '{}'", typeName(object), name));
}

/// A key that names a role or a field is not a user's text, but one from a message may be: it is
/// named only when the template itself wrote it.
std::string nameOf(const Value& key)
{
    const Marked* text = key.text();
    if (!text)
        return key.asInteger() ? std::to_string(*key.asInteger()) : typeName(key);
    return (text->commonFlags() & kTrusted) ? text->text() : "...";
}

/// Python's slice.indices().
struct Bounds
{
    std::int64_t start, stop, step;
};

Bounds boundsOf(const std::optional<std::int64_t>& start, const std::optional<std::int64_t>& stop,
                std::int64_t step, std::int64_t length)
{
    const auto clamp = [&](std::int64_t value) {
        if (value < 0)
            value += length;
        return std::clamp<std::int64_t>(value, step < 0 ? -1 : 0, step < 0 ? length - 1 : length);
    };
    return {start ? clamp(*start) : (step < 0 ? length - 1 : 0),
            stop ? clamp(*stop) : (step < 0 ? -1 : length), step};
}

} // namespace

Value Evaluator::attribute(const Value& object, const std::string& name)
{
    need(object);
    if (name.size() >= 2 && name.compare(0, 2, "__") == 0)
        return Value::undefined(fmt::format("the attribute '{}' is not open to templates", name));
    if (const LoopState* loop = object.loop()) {
        bool forbidden = false;
        if (!findMethod(object, name, forbidden))
            return loopAttribute(*this, *loop, name);
    }
    if (const Namespace* space = object.space()) {
        for (const auto& [key, value] : space->entries) {
            if (key == name)
                return value;
        }
        return missing(object, name);
    }
    bool forbidden = false;
    if (const MethodFunction method = findMethod(object, name, forbidden)) {
        auto callable = std::make_shared<Callable>();
        callable->name = "method " + name;
        callable->self = object;
        callable->function = method;
        return Value(Value::Data(std::shared_ptr<const Callable>(std::move(callable))));
    }
    if (forbidden)
        return Value::undefined(fmt::format("'{}' of {} would change it, which templates may not",
                                            name, typeName(object)));
    if (const DictNode* dict = object.dict()) {
        m_budget.step(static_cast<std::int64_t>(dict->entries.size() / 16));
        if (const Value* value = dict->find(std::string_view(name)))
            return *value;
    }
    return missing(object, name);
}

Value Evaluator::item(const Value& object, const Value& key)
{
    need(object);
    if (const DictNode* dict = object.dict()) {
        m_budget.step(static_cast<std::int64_t>(dict->entries.size() / 16));
        if (const Value* value = dict->find(key))
            return *value;
    }
    if (const auto index = key.asInteger()) {
        const ListNode* list = object.list();
        if (list && list->kind <= ListKind::Range) {
            const auto size = static_cast<std::int64_t>(list->items.size());
            const std::int64_t at = *index < 0 ? *index + size : *index;
            if (at >= 0 && at < size)
                return list->items[static_cast<std::size_t>(at)];
        } else if (const Marked* marked = object.text()) {
            m_budget.step(static_cast<std::int64_t>(marked->size() / 64));
            const Offsets starts(*marked);
            const auto size = starts.count();
            const std::int64_t at = *index < 0 ? *index + size : *index;
            if (at >= 0 && at < size)
                return text(marked->part(starts[static_cast<std::size_t>(at)],
                                         starts[static_cast<std::size_t>(at) + 1]));
        }
        return missing(object, nameOf(key));
    }
    if (const Marked* name = key.text()) {
        Value found = attribute(object, name->text());
        return found.isUndefined() ? missing(object, nameOf(key)) : found;
    }
    return missing(object, nameOf(key));
}

Value Evaluator::attributePath(const Value& object, const Value& path)
{
    if (path.asInteger())
        return item(object, path);
    const std::string& whole = needText(path, "the name of an attribute").text();
    Value value = object;
    for (std::size_t start = 0; start <= whole.size();) {
        const std::size_t end = std::min(whole.find('.', start), whole.size());
        const std::string name = whole.substr(start, end - start);
        std::int64_t index = 0;
        const auto result = std::from_chars(name.data(), name.data() + name.size(), index);
        const bool number =
            !name.empty() && result.ec == std::errc() && result.ptr == name.data() + name.size();
        value = item(value, number ? Value::integer(index) : text(name, kTrusted));
        start = end + 1;
    }
    return value;
}

Value Evaluator::slice(const Expr& node)
{
    const Value object = evaluate(*node.parts[0]);
    need(object);
    std::optional<std::int64_t> numbers[3];
    for (std::size_t i = 0; i < 3; ++i) {
        if (!node.parts[i + 1])
            continue;
        const Value value = evaluate(*node.parts[i + 1]);
        if (value.isNone())
            continue;
        numbers[i] = value.asInteger();
        if (!numbers[i])
            throw TemplateError(
                fmt::format("a slice needs whole numbers, not {}", typeName(value)));
    }
    const std::int64_t step = numbers[2].value_or(1);
    if (step == 0)
        throw TemplateError("the step of a slice is zero");
    const auto take = [&](std::int64_t length, auto each) {
        const Bounds bounds = boundsOf(numbers[0], numbers[1], step, length);
        for (std::int64_t i = bounds.start; step > 0 ? i < bounds.stop : i > bounds.stop;) {
            each(static_cast<std::size_t>(i));
            if (__builtin_add_overflow(i, step, &i))
                break;
        }
    };
    if (const ListNode* list = object.list(); list && list->kind <= ListKind::Range) {
        std::vector<Value> items;
        take(static_cast<std::int64_t>(list->items.size()),
             [&](std::size_t i) { items.push_back(list->items[i]); });
        return this->list(std::move(items), list->kind);
    }
    const Marked* marked = object.text();
    if (!marked)
        return missing(object, "slice");
    m_budget.step(static_cast<std::int64_t>(marked->size() / 64));
    const Offsets starts(*marked);
    Marked out;
    take(starts.count(), [&](std::size_t i) { out.append(*marked, starts[i], starts[i + 1]); });
    return text(std::move(out));
}

} // namespace fettle::text::jinja
