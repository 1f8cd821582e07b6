#include "text/jinja/filters.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

/// What sort, unique, min and max compare: an attribute if one is named, lower case unless cases
/// count.
Value keyOf(Evaluator& e, const Value& item, const Value* attribute, bool caseSensitive)
{
    Value key = attribute && !attribute->isNone() ? e.attributePath(item, *attribute) : item;
    if (!caseSensitive && key.text())
        key = e.text(cased(*key.text(), Casing::Lower));
    return key;
}

Value length(Evaluator&, const Value& v, const Arguments&)
{
    if (v.isUndefined())
        return Value::integer(0);
    if (const Marked* text = v.text())
        return Value::integer(static_cast<std::int64_t>(codePoints(text->text())));
    if (const ListNode* list = v.list(); list && list->kind != ListKind::Generator)
        return Value::integer(static_cast<std::int64_t>(list->items.size()));
    if (const DictNode* dict = v.dict())
        return Value::integer(static_cast<std::int64_t>(dict->entries.size()));
    if (const LoopState* loop = v.loop())
        return Value::integer(static_cast<std::int64_t>(loop->items->items.size()));
    throw TemplateError(fmt::format("{} has no length", typeName(v)));
}

/// What select and map go through: nothing when the value is false, be it none.
std::vector<Value> itemsOf(Evaluator& e, const Value& v)
{
    return truthy(v) ? e.iterate(v) : std::vector<Value>();
}

Value toList(Evaluator& e, const Value& v, const Arguments&) { return e.list(e.iterate(v)); }

Value firstItem(Evaluator& e, const Value& v, const Arguments&)
{
    const auto items = e.iterate(v);
    return items.empty() ? Value::undefined("there is no first item, the sequence was empty")
                         : items.front();
}

Value lastItem(Evaluator& e, const Value& v, const Arguments&)
{
    const auto items = e.iterate(v);
    return items.empty() ? Value::undefined("there is no last item, the sequence was empty")
                         : items.back();
}

Value items(Evaluator& e, const Value& v, const Arguments&)
{
    if (v.isUndefined())
        return e.list({}, ListKind::Generator);
    if (!v.dict())
        throw TemplateError(fmt::format("items needs a mapping, not {}", typeName(v)));
    std::vector<Value> out;
    for (const auto& [key, value] : v.dict()->entries)
        out.push_back(e.list({key, value}, ListKind::Tuple));
    return e.list(std::move(out), ListKind::Generator);
}

Value join(Evaluator& e, const Value& v, const Arguments& a)
{
    const Value* between = a.find("d", 0);
    const Value* attribute = a.find("attribute", 1);
    const Marked separator = between ? printed(*between) : Marked();
    Marked out;
    bool first = true;
    for (const Value& item : e.iterate(v)) {
        if (!std::exchange(first, false))
            out.append(separator);
        out.append(printed(attribute ? e.attributePath(item, *attribute) : item));
        if (out.size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
    }
    return e.text(std::move(out));
}

Value byDefault(Evaluator& e, const Value& v, const Arguments& a)
{
    const bool replace = v.isUndefined() || (flagArgument(a, "boolean", 1, false) && !truthy(v));
    if (!replace)
        return v;
    const Value* other = a.find("default_value", 0);
    return other ? *other : e.text("", kTrusted);
}

/// select, reject, selectattr, rejectattr.
template<bool wanted, bool ofAttribute>
Value choose(Evaluator& e, const Value& v, const Arguments& a)
{
    constexpr std::size_t at = ofAttribute ? 1 : 0;
    if (ofAttribute && a.positional.empty())
        throw TemplateError("selectattr and rejectattr need the name of an attribute");
    Arguments rest;
    for (std::size_t i = at + 1; i < a.positional.size(); ++i)
        rest.positional.push_back(a.positional[i]);
    rest.named = a.named;
    std::vector<Value> out;
    for (Value& item : itemsOf(e, v)) {
        const Value value = ofAttribute ? e.attributePath(item, a.positional[0]) : item;
        const bool yes =
            a.positional.size() > at
                ? e.test(needText(a.positional[at], "the name of a test").text(), value, rest)
                : truthy(value);
        if (yes == wanted)
            out.push_back(std::move(item));
    }
    return e.list(std::move(out), ListKind::Generator);
}

Value map(Evaluator& e, const Value& v, const Arguments& a)
{
    const Value* attribute = a.positional.empty() ? a.find("attribute", 0) : nullptr;
    const Value* other = a.positional.empty() ? a.find("default", SIZE_MAX) : nullptr;
    if (!attribute && a.positional.empty())
        throw TemplateError("map needs a filter or an attribute");
    Arguments rest;
    if (!attribute) {
        rest.positional.assign(a.positional.begin() + 1, a.positional.end());
        rest.named = a.named;
    }
    std::vector<Value> out;
    for (const Value& item : itemsOf(e, v)) {
        if (attribute) {
            Value value = e.attributePath(item, *attribute);
            out.push_back(other && value.isUndefined() ? *other : std::move(value));
        } else {
            out.push_back(
                e.filter(needText(a.positional[0], "the name of a filter").text(), item, rest));
        }
    }
    return e.list(std::move(out), ListKind::Generator);
}

Value sorted(Evaluator& e, std::vector<Value> items, const std::vector<Value>& keys, bool reverse)
{
    std::vector<std::size_t> order(items.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return e.compare(Operation::Less, keys[reverse ? b : a], keys[reverse ? a : b]);
    });
    std::vector<Value> out;
    for (const std::size_t i : order)
        out.push_back(items[i]);
    return e.list(std::move(out));
}

Value sort(Evaluator& e, const Value& v, const Arguments& a)
{
    const bool reverse = flagArgument(a, "reverse", 0, false),
               caseSensitive = flagArgument(a, "case_sensitive", 1, false);
    const Value* attribute = a.find("attribute", 2);
    std::vector<Value> items = e.iterate(v), keys;
    for (const Value& item : items) {
        // "a,b" sorts by several attributes.
        if (attribute && attribute->text() &&
            attribute->text()->text().find(',') != std::string::npos) {
            std::vector<Value> several;
            const Marked comma(",", kTrusted);
            for (Marked& name : split(*attribute->text(), &comma, -1, false)) {
                const Value path = e.text(std::move(name));
                several.push_back(keyOf(e, item, &path, caseSensitive));
            }
            keys.push_back(e.list(std::move(several)));
        } else {
            keys.push_back(keyOf(e, item, attribute, caseSensitive));
        }
    }
    return sorted(e, std::move(items), keys, reverse);
}

Value dictsort(Evaluator& e, const Value& v, const Arguments& a)
{
    if (!v.dict())
        throw TemplateError(fmt::format("dictsort needs a dict, not {}", typeName(v)));
    const bool caseSensitive = flagArgument(a, "case_sensitive", 0, false),
               reverse = flagArgument(a, "reverse", 2, false);
    const Marked* by = textArgument(a, "by", 1);
    std::vector<Value> pairs, keys;
    for (const auto& [key, value] : v.dict()->entries) {
        pairs.push_back(e.list({key, value}, ListKind::Tuple));
        keys.push_back(keyOf(e, by && by->text() == "value" ? value : key, nullptr, caseSensitive));
    }
    return sorted(e, std::move(pairs), keys, reverse);
}

Value unique(Evaluator& e, const Value& v, const Arguments& a)
{
    const bool caseSensitive = flagArgument(a, "case_sensitive", 0, false);
    const Value* attribute = a.find("attribute", 1);
    std::vector<Value> out, seen;
    for (Value& item : e.iterate(v)) {
        Value key = keyOf(e, item, attribute, caseSensitive);
        e.budget().step(static_cast<std::int64_t>(seen.size() / 16));
        if (std::any_of(seen.begin(), seen.end(),
                        [&](const Value& other) { return equal(other, key); }))
            continue;
        seen.push_back(std::move(key));
        out.push_back(std::move(item));
    }
    return e.list(std::move(out), ListKind::Generator);
}

Value reverse(Evaluator& e, const Value& v, const Arguments&)
{
    auto items = e.iterate(v);
    std::reverse(items.begin(), items.end());
    if (!v.text())
        return e.list(std::move(items), ListKind::Generator);
    Marked out;
    for (const Value& item : items)
        out.append(*item.text());
    return e.text(std::move(out));
}

template<Operation better> Value extreme(Evaluator& e, const Value& v, const Arguments& a)
{
    const bool caseSensitive = flagArgument(a, "case_sensitive", 0, false);
    const Value* attribute = a.find("attribute", 1);
    Value best = Value::undefined("there is no smallest or largest item, the sequence was empty"),
          bestKey;
    bool any = false;
    for (const Value& item : e.iterate(v)) {
        Value key = keyOf(e, item, attribute, caseSensitive);
        if (any && !e.compare(better, key, bestKey))
            continue;
        any = true;
        best = item;
        bestKey = std::move(key);
    }
    return best;
}

Value sum(Evaluator& e, const Value& v, const Arguments& a)
{
    const Value* attribute = a.find("attribute", 0);
    const Value* start = a.find("start", 1);
    Value total = start ? *start : Value::integer(0);
    for (const Value& item : e.iterate(v))
        total =
            e.binary(Operation::Add, total,
                     attribute && !attribute->isNone() ? e.attributePath(item, *attribute) : item);
    return total;
}

Value attr(Evaluator& e, const Value& v, const Arguments& a)
{
    const Marked* name = textArgument(a, "name", 0);
    if (!name)
        throw TemplateError("attr needs a name");
    // Attributes only, not keys of dicts.
    return v.dict() ? Value::undefined("a dict has no attributes") : e.attribute(v, name->text());
}

Value batch(Evaluator& e, const Value& v, const Arguments& a)
{
    const std::int64_t size = integerArgument(a, "linecount", 0, 0);
    const Value* fill = a.find("fill_with", 1);
    if (size < 1 || size > kMaxRange)
        throw TemplateError("batch needs a size of at least 1");
    std::vector<Value> out, part;
    const auto flush = [&] { out.push_back(e.list(std::exchange(part, {}))); };
    for (Value& item : e.iterate(v)) {
        part.push_back(std::move(item));
        if (static_cast<std::int64_t>(part.size()) == size)
            flush();
    }
    if (!part.empty()) {
        if (fill && !fill->isNone())
            part.resize(static_cast<std::size_t>(size), *fill);
        flush();
    }
    return e.list(std::move(out), ListKind::Generator);
}

Value slices(Evaluator& e, const Value& v, const Arguments& a)
{
    const std::int64_t count = integerArgument(a, "slices", 0, 0);
    const Value* fill = a.find("fill_with", 1);
    const auto all = e.iterate(v);
    if (count < 1 || count > kMaxRange)
        throw TemplateError("slice needs a count of at least 1");
    const auto each = static_cast<std::int64_t>(all.size()) / count,
               more = static_cast<std::int64_t>(all.size()) % count;
    std::vector<Value> out;
    auto at = all.begin();
    for (std::int64_t i = 0; i < count; ++i) {
        const auto end = at + each + (i < more ? 1 : 0);
        std::vector<Value> part(at, end);
        if (fill && !fill->isNone() && i >= more)
            part.push_back(*fill);
        out.push_back(e.list(std::move(part)));
        at = end;
    }
    return e.list(std::move(out), ListKind::Generator);
}

constexpr std::pair<std::string_view, FilterFunction> kFilters[] = {
    {"length", length},
    {"count", length},
    {"list", toList},
    {"first", firstItem},
    {"last", lastItem},
    {"items", items},
    {"join", join},
    {"default", byDefault},
    {"d", byDefault},
    {"select", choose<true, false>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<false, true>},
    {"map", map},
    {"sort", sort},
    {"dictsort", dictsort},
    {"unique", unique},
    {"reverse", reverse},
    {"min", extreme<Operation::Less>},
    {"max", extreme<Operation::Greater>},
    {"sum", sum},
    {"attr", attr},
    {"batch", batch},
    {"slice", slices}};

} // namespace

FilterFunction findListFilter(std::string_view name)
{
    const auto found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                    [&](const auto& entry) { return entry.first == name; });
    return found == std::end(kFilters) ? nullptr : found->second;
}

FilterFunction findFilter(std::string_view name)
{
    if (const FilterFunction text = findTextFilter(name))
        return text;
    const FilterFunction list = findListFilter(name);
    return list ? list : findNumberFilter(name);
}

} // namespace fettle::text::jinja
