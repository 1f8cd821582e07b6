#include "data/importers/json_text.h"

#include "base/ordered_json.h"
#include "base/text.h"

#include <fmt/format.h>

namespace fettle::data {

namespace {

constexpr std::int64_t kExactLimit = std::int64_t{1} << 53;
constexpr std::size_t kMaxDepth = 128;

/// Builds a value from the parser's events; the difference to the library's own builder is what the
/// comment in the header says.
class Builder final : public nlohmann::json_sax<OrderedJson>
{
public:
    OrderedJson root;
    bool duplicateKeys = false, tooDeep = false;
    std::size_t errorByte = 0;

    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(std::int64_t value) override
    {
        return value < -kExactLimit ? put(std::to_string(value)) : put(value);
    }
    bool number_unsigned(std::uint64_t value) override
    {
        return value > static_cast<std::uint64_t>(kExactLimit) ? put(std::to_string(value))
                                                               : put(value);
    }
    bool number_float(double value, const std::string& text) override
    {
        return text.find_first_of(".eE") == std::string::npos ? put(text) : put(value);
    }
    bool string(std::string& value) override { return put(std::move(value)); }
    bool binary(OrderedJson::binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(OrderedJson::object()); }
    bool start_array(std::size_t) override { return open(OrderedJson::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(std::string& name) override
    {
        OrderedJson& object = *m_open.back();
        duplicateKeys = duplicateKeys || object.contains(name);
        m_slot = &object[name];
        return true;
    }
    bool parse_error(std::size_t byte, const std::string&,
                     const nlohmann::detail::exception&) override
    {
        errorByte = byte;
        return false;
    }

private:
    template<class T> bool put(T&& value)
    {
        place(OrderedJson(std::forward<T>(value)));
        return true;
    }
    OrderedJson* place(OrderedJson&& value)
    {
        if (m_open.empty())
            return &(root = std::move(value));
        if (m_open.back()->is_array())
            return &m_open.back()->emplace_back(std::move(value));
        return &(*m_slot = std::move(value));
    }
    bool open(OrderedJson&& value)
    {
        tooDeep = m_open.size() >= kMaxDepth;
        // An open value does not move: its parent gets no further member before it is closed.
        m_open.push_back(place(std::move(value)));
        return !tooDeep;
    }
    bool close()
    {
        m_open.pop_back();
        return true;
    }

    std::vector<OrderedJson*> m_open;
    OrderedJson* m_slot = nullptr;
};

int hexDigit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Value of "\uXXXX" at `at`, or -1.
int unicodeEscape(std::string_view text, std::size_t at)
{
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u')
        return -1;
    int value = 0;
    for (std::size_t i = at + 2; i < at + 6; ++i) {
        const int digit = hexDigit(text[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/// Writes \ufffd over every half of a surrogate pair that stands alone. Gives how many.
int replaceLoneSurrogates(std::string& text)
{
    int replaced = 0;
    for (std::size_t at = text.find('\\'); at != std::string::npos; at = text.find('\\', at)) {
        const int value = unicodeEscape(text, at);
        if (value < 0) {
            at += 2; // another escape: its second character is not the start of one
            continue;
        }
        const int next = value >= 0xD800 && value < 0xDC00 ? unicodeEscape(text, at + 6) : -1;
        if (next >= 0xDC00 && next < 0xE000) {
            at += 12;
            continue;
        }
        if (value >= 0xD800 && value < 0xE000) {
            text.replace(at, 6, "\\ufffd");
            ++replaced;
        }
        at += 6;
    }
    return replaced;
}

/// The value, or why there is none. Python's NaN and Infinity are accepted as null.
Result<OrderedJson> parseValue(const std::string& text, RecordSink& sink)
{
    Builder builder;
    if (OrderedJson::sax_parse(text, &builder)) {
        if (builder.duplicateKeys)
            sink.repaired("the same name twice in a row, the last one taken");
        return std::move(builder.root);
    }
    if (builder.tooDeep)
        return Error{ErrorCode::InvalidInput, "the JSON is nested deeper than 128 levels", "", ""};
    if (text.find("NaN") != std::string::npos || text.find("Infinity") != std::string::npos) {
        if (auto value = parseOrderedJson(text, "", true)) {
            sink.repaired("numbers that are not finite read as empty");
            return value;
        }
    }
    return Error{ErrorCode::InvalidInput,
                 fmt::format("not valid JSON (at byte {})", builder.errorByte), "", ""};
}

} // namespace

bool giveJson(std::string& text, std::int64_t row, const TextSource& source, RecordSink& sink)
{
    std::int64_t replaced = 0;
    if (source.encoding().badBytes)
        text = toValidUtf8(text, &replaced);
    if (replaced > 0)
        sink.repaired("bytes that are not UTF-8 replaced");
    if (replaceLoneSurrogates(text) > 0)
        sink.repaired("half characters (lone surrogates) replaced");
    auto value = parseValue(text, sink);
    if (!value) {
        sink.badRow(row, value.error().what);
        return true;
    }
    if (value->is_string())
        *value = OrderedJson{{"text", *value}};
    if (!value->is_object()) {
        sink.badRow(row, "this is not a JSON object with named values");
        return true;
    }
    return sink.record({row, std::move(*value)});
}

} // namespace fettle::data
