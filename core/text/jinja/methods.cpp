#include "text/jinja/evaluator.h"
#include "text/unicode.h"

#include <algorithm>
#include <fmt/format.h>
#include <unicode/uchar.h>

namespace fettle::text::jinja {

namespace {

const Marked& self(const Callable& callable) { return *callable.self.text(); }

Value marked(Evaluator& e, std::vector<Marked> parts)
{
    std::vector<Value> items;
    for (Marked& part : parts)
        items.push_back(e.text(std::move(part)));
    return e.list(std::move(items));
}

template<bool left, bool right> Value strip(Evaluator& e, const Callable& c, const Arguments& a)
{
    return e.text(stripped(self(c), textArgument(a, "chars", 0), left, right));
}

template<bool fromRight> Value splitMethod(Evaluator& e, const Callable& c, const Arguments& a)
{
    return marked(e, split(self(c), textArgument(a, "sep", 0),
                           integerArgument(a, "maxsplit", 1, -1), fromRight));
}

template<Casing casing> Value caseMethod(Evaluator& e, const Callable& c, const Arguments&)
{
    return e.text(cased(self(c), casing));
}

/// str.title(): every letter behind a non-letter is upper case.
Value title(Evaluator& e, const Callable& c, const Arguments&)
{
    Marked out;
    const Marked& text = self(c);
    bool letterBefore = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t point = decodeValid(text.text().data(), at);
        out.append(cased(text.part(start, at), letterBefore ? Casing::Lower : Casing::Capitalize));
        letterBefore = u_isUAlphabetic(static_cast<UChar32>(point));
    }
    return e.text(std::move(out));
}

template<bool atStart> Value hasEnd(Evaluator&, const Callable& c, const Arguments& a)
{
    const Value* wanted = a.find("prefix", 0);
    if (!wanted)
        throw TemplateError("startswith and endswith need a text");
    const std::string& text = self(c).text();
    const auto matches = [&](const Value& value) {
        const std::string& end = needText(value, "an argument").text();
        return end.size() <= text.size() &&
               text.compare(atStart ? 0 : text.size() - end.size(), end.size(), end) == 0;
    };
    if (const ListNode* list = wanted->list())
        return Value::boolean(std::any_of(list->items.begin(), list->items.end(), matches));
    return Value::boolean(matches(*wanted));
}

Value replaceMethod(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Marked *from = textArgument(a, "old", 0), *to = textArgument(a, "new", 1);
    if (!from || !to)
        throw TemplateError("replace needs two texts");
    return e.text(replaced(e, self(c), *from, *to, integerArgument(a, "count", 2, -1)));
}

template<bool last, bool mustFind>
Value findMethodOf(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Marked* part = textArgument(a, "sub", 0);
    if (!part)
        throw TemplateError("find needs a text");
    const std::string& text = self(c).text();
    e.budget().step(static_cast<std::int64_t>(text.size() / 16));
    if (last)
        checkSearch(text.size(), part->size());
    const auto at = last ? text.rfind(part->text()) : findFrom(text, part->text(), 0);
    if (at == std::string::npos && mustFind)
        throw TemplateError("a text that is looked for is not there");
    return Value::integer(at == std::string::npos ? -1
                                                  : static_cast<std::int64_t>(codePoints(
                                                        std::string_view(text).substr(0, at))));
}

Value countMethod(Evaluator&, const Callable& c, const Arguments& a)
{
    const Marked* part = textArgument(a, "sub", 0);
    if (!part)
        throw TemplateError("count needs a text");
    const std::int64_t count =
        part->empty() ? static_cast<std::int64_t>(codePoints(self(c).text())) + 1
                      : static_cast<std::int64_t>(split(self(c), part, -1, false).size()) - 1;
    return Value::integer(count);
}

Value joinMethod(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Value* items = a.find("iterable", 0);
    Marked out;
    bool first = true;
    for (const Value& item : e.iterate(items ? *items : Value::none())) {
        if (!std::exchange(first, false))
            out.append(self(c));
        out.append(needText(item, "an item of join"));
        if (out.size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
    }
    return e.text(std::move(out));
}

Value splitLinesMethod(Evaluator& e, const Callable& c, const Arguments&)
{
    return marked(e, splitLines(self(c)));
}

template<bool fromRight> Value partitionMethod(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Marked* separator = textArgument(a, "sep", 0);
    if (!separator)
        throw TemplateError("partition needs a text");
    auto parts = split(self(c), separator, 1, fromRight);
    Marked middle = parts.size() == 2 ? *separator : Marked();
    if (parts.size() == 1)
        parts.insert(fromRight ? parts.begin() : parts.end(), Marked());
    return e.list({e.text(parts[0]), e.text(std::move(middle)), e.text(parts[1])}, ListKind::Tuple);
}

template<bool atStart> Value removeEnd(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Marked* end = textArgument(a, "prefix", 0);
    const Marked& text = self(c);
    if (!end || !truthy(hasEnd<atStart>(e, c, a)) || end->size() > text.size())
        return c.self;
    return e.text(atStart ? text.part(end->size(), text.size())
                          : text.part(0, text.size() - end->size()));
}

template<bool (*accept)(char32_t)> Value all(Evaluator&, const Callable& c, const Arguments&)
{
    const std::string& text = self(c).text();
    bool result = !text.empty();
    for (std::size_t at = 0; at < text.size() && result;)
        result = accept(decodeValid(text.data(), at));
    return Value::boolean(result);
}

bool isPlainDigit(char32_t c)
{
    return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) == U_NT_DECIMAL ||
           u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) == U_NT_DIGIT;
}
bool isLetter(char32_t c) { return isClass(c, kLetter); }
bool isAlphanumeric(char32_t c)
{
    return isClass(c, kLetter) ||
           u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

template<bool upper> Value isCase(Evaluator&, const Callable& c, const Arguments&)
{
    const std::string& text = self(c).text();
    bool any = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto point = static_cast<UChar32>(decodeValid(text.data(), at));
        if (upper ? u_isULowercase(point) || u_istitle(point)
                  : u_isUUppercase(point) || u_istitle(point))
            return Value::boolean(false);
        any = any || (upper ? u_isUUppercase(point) : u_isULowercase(point));
    }
    return Value::boolean(any);
}

Value formatMethod(Evaluator& e, const Callable& c, const Arguments& a)
{
    // Only plain fields: {} {0} {name}; anything else could reach into objects.
    const Marked& text = self(c);
    const std::string& bytes = text.text();
    Marked out;
    std::size_t next = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const char ch = bytes[at];
        if ((ch == '{' || ch == '}') && at + 1 < bytes.size() && bytes[at + 1] == ch) {
            out.append(text, at, at + 1);
            at += 2;
            continue;
        }
        const auto close = bytes.find('}', at);
        if (ch == '}' || (ch == '{' && close == std::string::npos))
            throw TemplateError("the braces of a format do not match");
        if (ch != '{') {
            out.append(text, at, at + 1);
            ++at;
            continue;
        }
        const std::string name = bytes.substr(at + 1, close - at - 1);
        const bool number =
            name.find_first_not_of("0123456789") == std::string::npos && name.size() < 5;
        const std::size_t index = number && !name.empty() ? std::stoul(name) : next++;
        const Value* value = number ? (index < a.positional.size() ? &a.positional[index] : nullptr)
                                    : a.find(name, SIZE_MAX);
        if (!value)
            throw TemplateError("a field of a format is not given or not understood");
        out.append(printed(*value));
        if (out.size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
        at = close + 1;
    }
    return e.text(std::move(out));
}

template<ListKind kind> Value view(Evaluator& e, const Callable& c, const Arguments&)
{
    std::vector<Value> items;
    for (const auto& [key, value] : c.self.dict()->entries)
        items.push_back(kind == ListKind::Keys     ? key
                        : kind == ListKind::Values ? value
                                                   : e.list({key, value}, ListKind::Tuple));
    return e.list(std::move(items), kind);
}

Value get(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Value* key = a.find("key", 0);
    if (!key)
        throw TemplateError("get needs a key");
    e.budget().step(static_cast<std::int64_t>(c.self.dict()->entries.size() / 16));
    if (const Value* value = c.self.dict()->find(*key))
        return *value;
    const Value* byDefault = a.find("default", 1);
    return byDefault ? *byDefault : Value::none();
}

Value copy(Evaluator&, const Callable& c, const Arguments&) { return c.self; }

template<bool count> Value listSearch(Evaluator& e, const Callable& c, const Arguments& a)
{
    const Value* wanted = a.find("value", 0);
    const auto& items = c.self.list()->items;
    e.budget().step(static_cast<std::int64_t>(items.size() / 16));
    std::int64_t found = 0;
    for (std::size_t i = 0; wanted && i < items.size(); ++i) {
        if (!equal(items[i], *wanted))
            continue;
        if (!count)
            return Value::integer(static_cast<std::int64_t>(i));
        ++found;
    }
    if (!count)
        throw TemplateError("a value that is looked for is not in the list");
    return Value::integer(found);
}

Value cycle(Evaluator&, const Callable& c, const Arguments& a)
{
    if (a.positional.empty())
        throw TemplateError("cycle needs values");
    return a.positional[c.self.loop()->index % a.positional.size()];
}

Value changed(Evaluator&, const Callable& c, const Arguments& a)
{
    auto& last = c.self.loop()->lastChanged;
    const bool same = last && last->size() == a.positional.size() &&
                      std::equal(last->begin(), last->end(), a.positional.begin(), equal);
    last = a.positional;
    return Value::boolean(!same);
}

using Entry = std::pair<std::string_view, MethodFunction>;

template<std::size_t size> MethodFunction lookUp(const Entry (&table)[size], std::string_view name)
{
    const auto found = std::find_if(std::begin(table), std::end(table),
                                    [&](const Entry& entry) { return entry.first == name; });
    return found == std::end(table) ? nullptr : found->second;
}

constexpr Entry kTextMethods[] = {{"split", splitMethod<false>},
                                  {"rsplit", splitMethod<true>},
                                  {"strip", strip<true, true>},
                                  {"lstrip", strip<true, false>},
                                  {"rstrip", strip<false, true>},
                                  {"upper", caseMethod<Casing::Upper>},
                                  {"lower", caseMethod<Casing::Lower>},
                                  {"capitalize", caseMethod<Casing::Capitalize>},
                                  {"title", title},
                                  {"startswith", hasEnd<true>},
                                  {"endswith", hasEnd<false>},
                                  {"replace", replaceMethod},
                                  {"find", findMethodOf<false, false>},
                                  {"rfind", findMethodOf<true, false>},
                                  {"index", findMethodOf<false, true>},
                                  {"rindex", findMethodOf<true, true>},
                                  {"count", countMethod},
                                  {"join", joinMethod},
                                  {"splitlines", splitLinesMethod},
                                  {"partition", partitionMethod<false>},
                                  {"rpartition", partitionMethod<true>},
                                  {"removeprefix", removeEnd<true>},
                                  {"removesuffix", removeEnd<false>},
                                  {"isdigit", all<isPlainDigit>},
                                  {"isalpha", all<isLetter>},
                                  {"isalnum", all<isAlphanumeric>},
                                  {"isspace", all<isPythonSpace>},
                                  {"isupper", isCase<true>},
                                  {"islower", isCase<false>},
                                  {"format", formatMethod}};
constexpr Entry kDictMethods[] = {{"items", view<ListKind::Items>},
                                  {"keys", view<ListKind::Keys>},
                                  {"values", view<ListKind::Values>},
                                  {"get", get},
                                  {"copy", copy}};
constexpr Entry kListMethods[] = {{"index", listSearch<false>}, {"count", listSearch<true>}};
constexpr Entry kLoopMethods[] = {{"cycle", cycle}, {"changed", changed}};
constexpr std::string_view kChanging[] = {"append", "extend",  "insert",    "pop",
                                          "remove", "reverse", "sort",      "clear",
                                          "update", "popitem", "setdefault"};

} // namespace

MethodFunction findMethod(const Value& object, std::string_view name, bool& forbidden)
{
    if (object.text())
        return lookUp(kTextMethods, name);
    if (object.loop())
        return lookUp(kLoopMethods, name);
    const bool list = object.list() && object.list()->kind <= ListKind::Tuple;
    if (!object.dict() && !list)
        return nullptr;
    if (object.dict() || object.list()->kind == ListKind::List) {
        const bool ofDict = name == "update" || name == "popitem" || name == "setdefault";
        const bool ofBoth = name == "pop" || name == "clear";
        forbidden =
            std::find(std::begin(kChanging), std::end(kChanging), name) != std::end(kChanging) &&
            (ofBoth || ofDict == (object.dict() != nullptr));
    }
    if (list && name == "copy" && object.list()->kind == ListKind::List)
        return copy;
    return object.dict() ? lookUp(kDictMethods, name) : lookUp(kListMethods, name);
}

} // namespace fettle::text::jinja
