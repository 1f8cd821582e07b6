#include "base/text.h"
#include "data/importers/importer.h"

namespace fettle::data {

namespace {

/// Running text: blocks between blank lines are one row each.
class Txt final : public Importer
{
public:
    ImporterSpec spec() const override { return {"txt", "Text", {"txt", "text", "md"}}; }

    int sniff(std::string_view) const override { return 50; }

    Result<ReadFacts> read(TextSource& source, const ReadOptions&, RecordSink& sink,
                           std::stop_token stop) const override
    {
        std::string line, block;
        bool tooLong = false, blockTooLong = false, more = true;
        std::int64_t row = 0, start = 0;
        while (more && !stop.stop_requested() && source.line(line, kMaxRowBytes, tooLong)) {
            ++row;
            if (!tooLong && trimmed(line).empty()) {
                more = give(block, start, blockTooLong, source, sink);
                continue;
            }
            if (block.empty() && !blockTooLong)
                start = row;
            else if (!blockTooLong)
                block += '\n';
            blockTooLong = blockTooLong || tooLong || block.size() + line.size() > kMaxRowBytes;
            if (blockTooLong)
                block.clear();
            else
                block += line;
        }
        if (more && !stop.stop_requested())
            give(block, start, blockTooLong, source, sink);
        return ReadFacts{};
    }

private:
    static bool give(std::string& block, std::int64_t start, bool& tooLong,
                     const TextSource& source, RecordSink& sink)
    {
        std::string text = std::move(block);
        block.clear();
        std::int64_t replaced = 0;
        if (source.encoding().badBytes)
            text = toValidUtf8(text, &replaced);
        std::string reason;
        if (tooLong)
            reason = "the block of text is longer than 16 MB";
        else if (text.find('\0') != std::string::npos)
            reason = "the text holds a zero byte";
        tooLong = false;
        if (!reason.empty()) {
            sink.badRow(start, reason);
            return true;
        }
        if (text.empty())
            return true;
        if (replaced > 0)
            sink.repaired("bytes that are not UTF-8 replaced");
        return sink.record({start, OrderedJson{{"text", std::move(text)}}});
    }
};

} // namespace

std::unique_ptr<const Importer> makeTxt() { return std::make_unique<Txt>(); }

} // namespace fettle::data
