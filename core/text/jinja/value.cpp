#include "text/jinja/value.h"

#include <algorithm>

namespace fettle::text::jinja {

Value Value::undefined(std::string hint)
{
    return Value(Data(Undefined{std::make_shared<const std::string>(std::move(hint))}));
}

bool Value::isMarkup() const
{
    const auto* node = std::get_if<std::shared_ptr<const TextNode>>(&m_data);
    return node && (*node)->markup;
}

const Marked* Value::text() const
{
    const auto* node = std::get_if<std::shared_ptr<const TextNode>>(&m_data);
    return node ? &(*node)->text : nullptr;
}

const ListNode* Value::list() const
{
    const auto* node = std::get_if<std::shared_ptr<const ListNode>>(&m_data);
    return node ? node->get() : nullptr;
}

const DictNode* Value::dict() const
{
    const auto* node = std::get_if<std::shared_ptr<const DictNode>>(&m_data);
    return node ? node->get() : nullptr;
}

Namespace* Value::space() const
{
    const auto* node = std::get_if<Namespace*>(&m_data);
    return node ? *node : nullptr;
}

const Callable* Value::callable() const
{
    const auto* node = std::get_if<std::shared_ptr<const Callable>>(&m_data);
    return node ? node->get() : nullptr;
}

const LoopState* Value::loop() const
{
    const auto* node = std::get_if<std::shared_ptr<const LoopState>>(&m_data);
    return node ? node->get() : nullptr;
}

std::optional<std::int64_t> Value::asInteger() const
{
    if (const auto* value = std::get_if<std::int64_t>(&m_data))
        return *value;
    if (const auto* value = std::get_if<bool>(&m_data))
        return *value ? 1 : 0;
    return std::nullopt;
}

std::optional<double> Value::asNumber() const
{
    if (const auto* value = std::get_if<double>(&m_data))
        return *value;
    if (const auto whole = asInteger())
        return static_cast<double>(*whole);
    return std::nullopt;
}

int Value::depth() const
{
    if (const ListNode* node = list())
        return node->depth;
    if (const DictNode* node = dict())
        return node->depth;
    return 0;
}

const Value* DictNode::find(const Value& key) const
{
    for (const auto& [known, value] : entries) {
        if (equal(known, key))
            return &value;
    }
    return nullptr;
}

const Value* DictNode::find(std::string_view key) const
{
    for (const auto& [known, value] : entries) {
        const Marked* text = known.text();
        if (text && text->text() == key)
            return &value;
    }
    return nullptr;
}

void Scope::set(const std::string& name, Value value)
{
    for (auto& [known, old] : names) {
        if (known == name) {
            old = std::move(value);
            return;
        }
    }
    names.emplace_back(name, std::move(value));
}

const Value* Scope::find(const std::string& name) const
{
    for (const Scope* scope = this; scope; scope = scope->outer.get()) {
        for (const auto& [known, value] : scope->names) {
            if (known == name)
                return &value;
        }
    }
    return nullptr;
}

const Value* Arguments::find(std::string_view name, std::size_t position) const
{
    if (position < positional.size())
        return &positional[position];
    for (const auto& [known, value] : named) {
        if (known == name)
            return &value;
    }
    return nullptr;
}

bool equal(const Value& a, const Value& b)
{
    if (a.asInteger() && b.asInteger())
        return *a.asInteger() == *b.asInteger();
    if (a.isNumber() && b.isNumber())
        return *a.asNumber() == *b.asNumber();
    if (a.data().index() != b.data().index())
        return false;
    if (a.isUndefined() || a.isNone())
        return true;
    if (const Marked* text = a.text())
        return text->text() == b.text()->text();
    if (a.list() || a.dict())
        Budget::stepCurrent(); // shared parts make the way longer than the values are large
    if (const ListNode* left = a.list()) {
        const ListNode* right = b.list();
        return left == right || (left->kind == right->kind && left->kind != ListKind::Generator &&
                                 std::equal(left->items.begin(), left->items.end(),
                                            right->items.begin(), right->items.end(), equal));
    }
    if (const DictNode* left = a.dict()) {
        const DictNode* right = b.dict();
        return left == right ||
               (left->entries.size() == right->entries.size() &&
                std::all_of(left->entries.begin(), left->entries.end(), [&](const auto& entry) {
                    const Value* other = right->find(entry.first);
                    return other && equal(entry.second, *other);
                }));
    }
    if (a.space())
        return a.space() == b.space();
    return a.callable() ? a.callable() == b.callable() : a.loop() == b.loop();
}

bool truthy(const Value& value)
{
    if (value.isUndefined() || value.isNone())
        return false;
    if (const auto number = value.asNumber())
        return *number != 0;
    if (const Marked* text = value.text())
        return !text->empty();
    if (const ListNode* list = value.list())
        return list->kind == ListKind::Generator || !list->items.empty();
    if (const DictNode* dict = value.dict())
        return !dict->entries.empty();
    return true;
}

const char* typeName(const Value& value)
{
    if (value.isUndefined())
        return "undefined";
    if (value.isNone())
        return "None";
    if (value.isBoolean())
        return "bool";
    if (value.isInteger())
        return "int";
    if (value.isFloat())
        return "float";
    if (value.text())
        return "str";
    if (const ListNode* list = value.list()) {
        static constexpr const char* kNames[] = {
            "list", "tuple", "range", "dict_keys", "dict_values", "dict_items", "generator"};
        return kNames[static_cast<std::size_t>(list->kind)];
    }
    if (value.dict())
        return "dict";
    if (value.space())
        return "namespace";
    return value.callable() ? "function" : "loop";
}

} // namespace fettle::text::jinja
