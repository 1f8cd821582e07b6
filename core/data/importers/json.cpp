#include "data/importers/json_text.h"

#include <fmt/format.h>

namespace fettle::data {

namespace {

bool isBlank(int c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Cuts a stream into its JSON values without understanding them, so that one damaged element does
/// not spoil the others and a large file needs little memory.
class ValueCutter
{
public:
    explicit ValueCutter(TextSource& source)
        : m_source(source)
    {
    }

    enum class End
    {
        Comma,
        Bracket,
        File,
        Value
    };

    /// Reads one value into `text` (empty when there is none) and tells what ended it. Inside an
    /// array values end at a comma or at the closing bracket, else where they are whole.
    End next(std::string& text, bool inArray)
    {
        text.clear();
        m_tooLong = false;
        while (true) {
            const int c = m_source.get();
            if (c < 0)
                return End::File;
            if (m_depth == 0 && !m_inString) {
                if (inArray && c == ',')
                    return End::Comma;
                if (inArray && c == ']')
                    return End::Bracket;
                if (isBlank(c) && text.empty())
                    continue;
            }
            append(text, c);
            follow(c);
            if (!inArray && m_depth == 0 && !m_inString && (c == '}' || c == ']'))
                return End::Value;
        }
    }
    bool tooLong() const { return m_tooLong; }
    /// True when the file ended inside a value.
    bool isOpen() const { return m_depth > 0 || m_inString; }

private:
    void append(std::string& text, int c)
    {
        if (text.size() < kMaxRowBytes)
            text += static_cast<char>(c);
        else
            m_tooLong = true;
    }
    void follow(int c)
    {
        if (m_inString) {
            if (m_escaped)
                m_escaped = false;
            else if (c == '\\')
                m_escaped = true;
            else if (c == '"')
                m_inString = false;
        } else if (c == '"') {
            m_inString = true;
        } else if (c == '{' || c == '[') {
            ++m_depth;
        } else if ((c == '}' || c == ']') && m_depth > 0) {
            --m_depth;
        }
    }

    TextSource& m_source;
    std::int64_t m_depth = 0;
    bool m_inString = false, m_escaped = false, m_tooLong = false;
};

class JsonFile final : public Importer
{
public:
    ImporterSpec spec() const override { return {"json", "JSON", {"json", "jsonl", "ndjson"}}; }

    int sniff(std::string_view head) const override
    {
        const std::size_t first = head.find_first_not_of(" \t\r\n");
        if (first == std::string_view::npos)
            return 0;
        return head[first] == '[' ? 80 : head[first] == '{' ? 50 : 0;
    }

    Result<ReadFacts> read(TextSource& source, const ReadOptions&, RecordSink& sink,
                           std::stop_token stop) const override
    {
        while (isBlank(source.peek()))
            source.get();
        const bool array = source.peek() == '[';
        if (array)
            source.get();
        ValueCutter cutter(source);
        std::string text;
        std::int64_t row = 0;
        auto end = ValueCutter::End::Comma;
        while (!stop.stop_requested() && end != ValueCutter::End::File &&
               end != ValueCutter::End::Bracket) {
            end = cutter.next(text, array);
            const bool nothing = text.find_first_not_of(" \t\r\n") == std::string::npos;
            if (end == ValueCutter::End::File && (array || cutter.isOpen())) {
                sink.badRow(row + 1, "the file ends in the middle of the JSON text");
                break;
            }
            if (nothing && (end == ValueCutter::End::Bracket || end == ValueCutter::End::File))
                break;
            ++row;
            if (cutter.tooLong())
                sink.badRow(row, "the element is longer than 16 MB");
            else if (nothing)
                sink.badRow(row, "nothing stands between two commas");
            else if (!giveJson(text, row, source, sink))
                break;
        }
        return ReadFacts{};
    }
};

} // namespace

std::unique_ptr<const Importer> makeJson() { return std::make_unique<JsonFile>(); }

} // namespace fettle::data
