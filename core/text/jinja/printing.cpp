#include "text/jinja/printing.h"

#include "base/text.h"
#include "text/unicode.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <unicode/uchar.h>

namespace fettle::text::jinja {

namespace {

constexpr std::uint32_t kNotPrintable = U_GC_C_MASK | U_GC_Z_MASK;

void checkSize(const Marked& out)
{
    if (out.size() > kMaxOutput)
        throw TemplateError("the template makes a text or list of more than 16 MB");
}

void representText(Marked& out, const Marked& marked)
{
    const std::string& text = marked.text();
    const bool doubleQuotes =
        text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
    const char quote = doubleQuotes ? '"' : '\'';
    out.append(std::string(1, quote), kUser);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t c = decodeValid(text.data(), at);
        const Origin origin = marked.originAt(start);
        if (c == '\\' || c == static_cast<char32_t>(quote))
            out.append(std::string("\\") + static_cast<char>(c), origin);
        else if (c == '\n' || c == '\r' || c == '\t')
            out.append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", origin);
        else if (c != ' ' && (U_MASK(u_charType(static_cast<UChar32>(c))) & kNotPrintable))
            out.append(c < 0x100     ? fmt::format("\\x{:02x}", static_cast<unsigned>(c))
                       : c < 0x10000 ? fmt::format("\\u{:04x}", static_cast<unsigned>(c))
                                     : fmt::format("\\U{:08x}", static_cast<unsigned>(c)),
                       origin);
        else
            out.append(marked, start, at);
    }
    out.append(std::string(1, quote), kUser);
}

void represent(Marked& out, const Value& value, int level);

void representList(Marked& out, const ListNode& list, int level)
{
    static constexpr const char* kOpen[] = {
        "[", "(", "[", "dict_keys([", "dict_values([", "dict_items([", "["};
    static constexpr const char* kClose[] = {"]", ")", "]", "])", "])", "])", "]"};
    const auto kind = static_cast<std::size_t>(list.kind);
    out.append(kOpen[kind], kUser);
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0)
            out.append(", ", kUser);
        represent(out, list.items[i], level + 1);
    }
    if (list.kind == ListKind::Tuple && list.items.size() == 1)
        out.append(",", kUser);
    out.append(kClose[kind], kUser);
}

void represent(Marked& out, const Value& value, int level)
{
    if (level > kMaxValueDepth)
        throw TemplateError(fmt::format("a value is nested deeper than {} levels", kMaxValueDepth));
    checkSize(out);
    if (const Marked* text = value.text()) {
        representText(out, *text);
    } else if (const ListNode* list = value.list()) {
        representList(out, *list, level);
    } else if (value.dict() || value.space()) {
        out.append(value.space() ? "<Namespace {" : "{", kUser);
        bool first = true;
        const auto entry = [&](const Value& item) {
            out.append(": ", kUser);
            represent(out, item, level + 1);
        };
        const auto comma = [&] {
            if (!std::exchange(first, false))
                out.append(", ", kUser);
        };
        if (value.space()) {
            for (const auto& [key, item] : value.space()->entries) {
                comma();
                out.append("'" + key + "'", kUser);
                entry(item);
            }
        } else {
            for (const auto& [key, item] : value.dict()->entries) {
                comma();
                represent(out, key, level + 1);
                entry(item);
            }
        }
        out.append(value.space() ? "}>" : "}", kUser);
    } else if (value.isUndefined()) {
        out.append("Undefined", kUser);
    } else {
        out.append(printed(value));
    }
}

class JsonWriter
{
public:
    explicit JsonWriter(const JsonStyle& style)
        : m_style(style)
    {
    }

    void write(const Value& value, int level)
    {
        if (level > kMaxValueDepth)
            throw TemplateError(
                fmt::format("a value is nested deeper than {} levels", kMaxValueDepth));
        checkSize(m_out);
        if (const Marked* text = value.text())
            writeText(*text);
        else if (value.isNone())
            add("null");
        else if (value.isBoolean())
            add(truthy(value) ? "true" : "false");
        else if (value.isInteger())
            add(std::to_string(*value.asInteger()));
        else if (value.isFloat())
            add(number(*value.asNumber()));
        else if (value.list() && value.list()->kind <= ListKind::Tuple)
            writeList(*value.list(), level);
        else if (value.dict())
            writeDict(*value.dict(), level);
        else
            throw TemplateError(fmt::format("{} cannot be written as JSON", typeName(value)));
    }
    Marked take() { return std::move(m_out); }

private:
    void add(std::string_view text) { m_out.append(text, kUser); }

    static std::string number(double value)
    {
        if (std::isnan(value))
            return "NaN";
        if (std::isinf(value))
            return value > 0 ? "Infinity" : "-Infinity";
        return printedFloat(value);
    }

    void newLine(int level)
    {
        if (!m_style.indent)
            return;
        add("\n");
        for (int i = 0; i < level; ++i)
            add(*m_style.indent);
    }

    void writeText(const Marked& text)
    {
        // As user text even where it comes from the template: a JSON text is never a special token.
        std::string out = "\"";
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t start = at;
            const char32_t c = decodeValid(text.text().data(), at);
            static constexpr std::string_view kNamed = "\"\\\n\r\t\b\f";
            static constexpr std::string_view kLetters = "\"\\nrtbf";
            const auto named =
                c < 0x80 ? kNamed.find(static_cast<char>(c)) : std::string_view::npos;
            if (named != std::string_view::npos)
                out += '\\', out += kLetters[named];
            else if (c < 0x20 || (c >= 0x7F && m_style.ensureAscii && c > 0x7F && c < 0x10000))
                out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
            else if (c >= 0x10000 && m_style.ensureAscii)
                out += fmt::format("\\u{:04x}\\u{:04x}",
                                   0xD800 + ((static_cast<unsigned>(c) - 0x10000) >> 10),
                                   0xDC00 + ((static_cast<unsigned>(c) - 0x10000) & 0x3FF));
            else
                out.append(text.text(), start, at - start);
        }
        add(out + "\"");
    }

    void writeList(const ListNode& list, int level)
    {
        if (list.items.empty()) {
            add("[]");
            return;
        }
        add("[");
        for (std::size_t i = 0; i < list.items.size(); ++i) {
            if (i > 0)
                add(m_style.itemSeparator);
            newLine(level + 1);
            write(list.items[i], level + 1);
        }
        newLine(level);
        add("]");
    }

    void writeDict(const DictNode& dict, int level)
    {
        if (dict.entries.empty()) {
            add("{}");
            return;
        }
        std::vector<const std::pair<Value, Value>*> order;
        for (const auto& entry : dict.entries)
            order.push_back(&entry);
        if (m_style.sortKeys)
            std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
                return printed(a->first).text() < printed(b->first).text();
            });
        add("{");
        bool first = true;
        for (const auto* entry : order) {
            if (!std::exchange(first, false))
                add(m_style.itemSeparator);
            newLine(level + 1);
            const Value& key = entry->first;
            if (const Marked* text = key.text())
                writeText(*text);
            else if (key.isNone() || key.isNumber())
                add("\""), write(key, level + 1), add("\"");
            else
                throw TemplateError(fmt::format("{} cannot be a key in JSON", typeName(key)));
            add(m_style.keySeparator);
            write(entry->second, level + 1);
        }
        newLine(level);
        add("}");
    }

    const JsonStyle& m_style;
    Marked m_out;
};

} // namespace

std::string printedFloat(double value)
{
    if (std::isnan(value))
        return "nan";
    if (std::isinf(value))
        return value > 0 ? "inf" : "-inf";
    std::string text = fmt::format("{}", value);
    if (text.find_first_of(".e") == std::string::npos)
        text += ".0";
    return text;
}

Marked printed(const Value& value)
{
    if (const Marked* text = value.text())
        return *text;
    if (value.isUndefined())
        return {};
    if (value.isNone())
        return Marked("None", kUser);
    if (value.isBoolean())
        return Marked(truthy(value) ? "True" : "False", kUser);
    if (value.isInteger())
        return Marked(std::to_string(*value.asInteger()), kUser);
    if (value.isFloat())
        return Marked(printedFloat(*value.asNumber()), kUser);
    if (value.callable())
        return Marked("<" + value.callable()->name + ">", kUser);
    if (value.loop())
        return Marked(fmt::format("<LoopContext {}/{}>", value.loop()->index + 1,
                                  value.loop()->items->items.size()),
                      kUser);
    return represented(value);
}

Marked represented(const Value& value)
{
    Marked out;
    represent(out, value, 0);
    return out;
}

Marked toJsonText(const Value& value, const JsonStyle& style)
{
    JsonWriter writer(style);
    writer.write(value, 0);
    return writer.take();
}

bool isPythonSpace(char32_t c) { return isClass(c, kSpace) || (c >= 0x1C && c <= 0x1F); }

} // namespace fettle::text::jinja
