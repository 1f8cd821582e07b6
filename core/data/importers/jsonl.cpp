#include "base/text.h"
#include "data/importers/json_text.h"

namespace fettle::data {

namespace {

class Jsonl final : public Importer
{
public:
    ImporterSpec spec() const override
    {
        return {"jsonl", "JSON Lines", {"jsonl", "ndjson", "json"}};
    }

    /// Sure when the first line that is not blank is a whole value and there is a second one.
    int sniff(std::string_view head) const override
    {
        while (!head.empty()) {
            const std::size_t end = head.find_first_of("\r\n");
            const std::string line = trimmed(head.substr(0, end));
            head = end == std::string_view::npos ? std::string_view() : head.substr(end + 1);
            if (line.empty())
                continue;
            if (line.front() == '[')
                return 10;
            return nlohmann::json::accept(line) && !trimmed(head).empty() ? 90 : 40;
        }
        return 0;
    }

    Result<ReadFacts> read(TextSource& source, const ReadOptions&, RecordSink& sink,
                           std::stop_token stop) const override
    {
        std::string line;
        bool tooLong = false;
        for (std::int64_t row = 1;
             !stop.stop_requested() && source.line(line, kMaxRowBytes, tooLong); ++row) {
            if (tooLong) {
                sink.badRow(row, "the line is longer than 16 MB");
                continue;
            }
            if (line.find_first_not_of(" \t") == std::string::npos)
                continue;
            if (!giveJson(line, row, source, sink))
                break;
        }
        return ReadFacts{};
    }
};

} // namespace

std::unique_ptr<const Importer> makeJsonl() { return std::make_unique<Jsonl>(); }

} // namespace fettle::data
