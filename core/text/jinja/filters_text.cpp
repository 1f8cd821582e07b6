#include "base/text.h"
#include "text/jinja/filters.h"
#include "text/unicode.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

Marked textOf(const Value& value) { return printed(value); }

template<Casing casing> Value caseFilter(Evaluator& e, const Value& v, const Arguments&)
{
    return e.text(cased(textOf(v), casing));
}

Value trim(Evaluator& e, const Value& v, const Arguments& a)
{
    return e.text(stripped(textOf(v), textArgument(a, "chars", 0), true, true));
}

Value string(Evaluator& e, const Value& v, const Arguments&)
{
    return v.text() ? v : e.text(printed(v));
}

Value replace(Evaluator& e, const Value& v, const Arguments& a)
{
    const Value *from = a.find("old", 0), *to = a.find("new", 1);
    if (!from || !to)
        throw TemplateError("replace needs two texts");
    return e.text(
        replaced(e, textOf(v), printed(*from), printed(*to), integerArgument(a, "count", 2, -1)));
}

Value indent(Evaluator& e, const Value& v, const Arguments& a)
{
    const Value* width = a.find("width", 0);
    Marked space;
    if (width && width->text())
        space = *width->text();
    else
        space = Marked(std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(
                                       integerArgument(a, "width", 0, 4), 0, 1000)),
                                   ' '),
                       kTrusted);
    const bool first = flagArgument(a, "first", 1, false),
               blank = flagArgument(a, "blank", 2, false);
    Marked whole = textOf(v);
    whole.append("\n", kTrusted);
    Marked out;
    bool start = true;
    for (const Marked& line : splitLines(whole)) {
        if (!start)
            out.append("\n", kTrusted);
        if (start ? first : (blank || !line.empty()))
            out.append(space);
        out.append(line);
        start = false;
        if (out.size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
    }
    return e.text(std::move(out));
}

Value wordcount(Evaluator&, const Value& v, const Arguments&)
{
    const Marked text = textOf(v);
    std::int64_t count = 0;
    bool inside = false;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = decodeValid(text.text().data(), at);
        const bool word = isClass(c, kLetter | kNumber) || c == '_';
        count += word && !inside;
        inside = word;
    }
    return Value::integer(count);
}

Value truncate(Evaluator& e, const Value& v, const Arguments& a)
{
    const Marked text = textOf(v);
    const std::int64_t length = integerArgument(a, "length", 0, 255),
                       leeway = integerArgument(a, "leeway", 3, 5);
    const bool killWords = flagArgument(a, "killwords", 1, false);
    const Marked* given = textArgument(a, "end", 2);
    const Marked end = given ? *given : Marked("...", kTrusted);
    const auto endLength = static_cast<std::int64_t>(codePoints(end.text()));
    if (length < endLength || leeway < 0)
        throw TemplateError("truncate needs a length of at least that of its end mark");
    if (static_cast<std::int64_t>(codePoints(text.text())) <= length + leeway)
        return e.text(text);
    std::size_t at = 0;
    for (std::int64_t i = 0; i < length - endLength; ++i)
        decodeValid(text.text().data(), at);
    Marked out = text.part(0, at);
    if (const auto space = out.text().rfind(' '); !killWords && space != std::string::npos)
        out = out.part(0, space);
    out.append(end);
    return e.text(std::move(out));
}

Value center(Evaluator& e, const Value& v, const Arguments& a)
{
    const Marked text = textOf(v);
    const std::int64_t width = std::min<std::int64_t>(integerArgument(a, "width", 0, 80), 100'000);
    const std::int64_t room = width - static_cast<std::int64_t>(codePoints(text.text()));
    if (room <= 0)
        return e.text(text);
    // As str.center: the odd space goes left when room and width are odd.
    const std::int64_t left = room / 2 + (room & width & 1);
    Marked out(std::string(static_cast<std::size_t>(left), ' '), kTrusted);
    out.append(text);
    out.append(std::string(static_cast<std::size_t>(room - left), ' '), kTrusted);
    return e.text(std::move(out));
}

Value escape(Evaluator& e, const Value& v, const Arguments&)
{
    return v.isMarkup() ? v : e.text(escaped(textOf(v)), true);
}

Value safe(Evaluator& e, const Value& v, const Arguments&) { return e.text(textOf(v), true); }

/// One field of a format with %: %s %r %d %i %f %x %%, with width and precision.
Marked formatted(char kind, const std::string& flags, const Value& value)
{
    if (kind == 's' || kind == 'r') {
        if (!flags.empty())
            throw TemplateError("a format has a width that is not known here");
        return kind == 's' ? printed(value) : represented(value);
    }
    const auto number = value.asNumber();
    if (!number)
        throw TemplateError(
            fmt::format("%{} of a format needs a number, not {}", kind, typeName(value)));
    const auto whole =
        value.asInteger().value_or(static_cast<std::int64_t>(std::clamp(*number, -9e18, 9e18)));
    try {
        if (kind == 'f')
            return Marked(
                fmt::format(fmt::runtime("{:" + (flags.empty() ? ".6" : flags) + "f}"), *number),
                kUser);
        return Marked(
            fmt::format(fmt::runtime("{:" + flags + (kind == 'x' ? "x" : "d") + "}"), whole),
            kUser);
    } catch (const fmt::format_error&) {
        throw TemplateError("a field of a format is not understood");
    }
}

Value format(Evaluator& e, const Value& v, const Arguments& a)
{
    const Marked& text = needText(v, "a format");
    const std::string& bytes = text.text();
    Marked out;
    std::size_t next = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (bytes[at] != '%') {
            out.append(text, at, at + 1);
            continue;
        }
        std::string flags;
        for (++at; at < bytes.size() && flags.size() < 4 &&
                   std::string_view("0123456789.").find(bytes[at]) != std::string_view::npos;
             ++at)
            flags += bytes[at];
        const char kind = at < bytes.size() ? bytes[at] : '\0';
        if (kind == '%' && flags.empty()) {
            out.append("%", kTrusted);
            continue;
        }
        if (std::string_view("srdifx").find(kind) == std::string_view::npos)
            throw TemplateError("a field of a format is not understood");
        if (next >= a.positional.size())
            throw TemplateError("a format has more fields than values");
        out.append(formatted(kind, flags, a.positional[next++]));
        if (out.size() > kMaxOutput)
            throw TemplateError("the template makes a text or list of more than 16 MB");
    }
    return e.text(std::move(out));
}

Value tojson(Evaluator& e, const Value& v, const Arguments& a)
{
    JsonStyle style;
    style.ensureAscii = flagArgument(a, "ensure_ascii", 0, false);
    const Value* indent = a.find("indent", 1);
    if (indent && !indent->isNone()) {
        style.indent = indent->text()
                           ? indent->text()->text()
                           : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(
                                             integerArgument(a, "indent", 1, 0), 0, 100)),
                                         ' ');
        style.itemSeparator = std::string(1, ',');
    }
    if (const Value* separators = a.find("separators", 2); separators && !separators->isNone()) {
        const auto parts = e.iterate(*separators);
        if (parts.size() != 2)
            throw TemplateError("the separators of tojson are two texts");
        style.itemSeparator = needText(parts[0], "a separator").text();
        style.keySeparator = needText(parts[1], "a separator").text();
    }
    style.sortKeys = flagArgument(a, "sort_keys", 3, false);
    return e.text(toJsonText(v, style));
}

Value fromJson(Evaluator& e, const Value& v, const Arguments&)
{
    return fromJsonText(e, needText(v, "what from_json reads").text());
}

constexpr std::pair<std::string_view, FilterFunction> kFilters[] = {
    {"upper", caseFilter<Casing::Upper>},
    {"lower", caseFilter<Casing::Lower>},
    {"capitalize", caseFilter<Casing::Capitalize>},
    {"title", caseFilter<Casing::Title>},
    {"trim", trim},
    {"string", string},
    {"replace", replace},
    {"indent", indent},
    {"wordcount", wordcount},
    {"truncate", truncate},
    {"center", center},
    {"escape", escape},
    {"e", escape},
    {"safe", safe},
    {"format", format},
    {"tojson", tojson},
    {"from_json", fromJson}};

} // namespace

FilterFunction findTextFilter(std::string_view name)
{
    const auto found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                    [&](const auto& entry) { return entry.first == name; });
    return found == std::end(kFilters) ? nullptr : found->second;
}

} // namespace fettle::text::jinja
