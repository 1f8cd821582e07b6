#include "generate/generator.h"

#include "base/text.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <numeric>

namespace fettle::generate {

namespace {

/// One answer being written.
struct Stream
{
    std::size_t prompt = 0;
    std::int64_t slot = 0;
    Generated out;
    std::size_t sent = 0;  ///< bytes of the text that the sink has
    bool done = false;
};

class Group
{
public:
    Group(model::LanguageModel& model, const text::Tokenizer& tokenizer, const Settings& settings, const PieceSink& sink)
        : m_model(model), m_tokenizer(tokenizer), m_settings(settings), m_sink(sink)
        , m_rng(settings.seed, "sampling")
    {
    }

    void run(const std::vector<std::vector<std::int32_t>>& prompts, const std::vector<std::size_t>& picked,
             const std::function<bool()>& stop, std::vector<Generated>& results)
    {
        start(prompts, picked);
        for (std::int64_t round = 1; round < m_settings.maxNewTokens; ++round) {
            std::vector<std::int64_t> slots, ids;
            for (auto& stream : m_streams) {
                if (!stream.done)
                    slots.push_back(stream.slot), ids.push_back(stream.out.ids.back());
            }
            if (slots.empty())
                break;
            if (stop && stop()) {
                finishAll("person");
                break;
            }
            const auto hidden = m_model.decode(ids, m_cache, slots);
            take(m_model.logits(hidden), slots);
        }
        finishAll("length");
        for (auto& stream : m_streams)
            results[stream.prompt] = std::move(stream.out);
    }

private:
    void start(const std::vector<std::vector<std::int32_t>>& prompts, const std::vector<std::size_t>& picked)
    {
        model::PackedTokens packed;
        std::int64_t longest = 0;
        std::vector<std::int64_t> slots, lastRows;
        for (const auto index : picked) {
            Stream stream;
            stream.prompt = index;
            stream.slot = static_cast<std::int64_t>(m_streams.size());
            m_streams.push_back(std::move(stream));
            slots.push_back(m_streams.back().slot);
            packed.add(prompts[index]);
            lastRows.push_back(packed.size() - 1);
            longest = std::max(longest, static_cast<std::int64_t>(prompts[index].size()));
        }
        m_cache = m_model.makeCache(static_cast<std::int64_t>(slots.size()), longest + m_settings.maxNewTokens);
        const auto hidden = m_model.prefill(packed, m_cache, slots);
        take(m_model.logits(hidden.index_select(0, at::tensor(lastRows, at::kLong).to(hidden.device()))), slots);
    }

    /// The next token of each slot from its logits [slots, vocab].
    void take(const at::Tensor& logits, const std::vector<std::int64_t>& slots)
    {
        const auto rows = logits.to(at::kCPU, at::kFloat).contiguous();
        for (std::size_t i = 0; i < slots.size(); ++i) {
            auto& stream = m_streams[static_cast<std::size_t>(slots[i])];
            const auto row = std::span(rows.const_data_ptr<float>() + static_cast<std::int64_t>(i) * rows.size(1),
                                       static_cast<std::size_t>(rows.size(1)));
            const double uniform = m_rng.uniform(stream.prompt, stream.out.ids.size());
            append(stream, chooseToken(row, m_settings, uniform));
        }
    }

    void append(Stream& stream, std::int32_t id)
    {
        if (std::ranges::find(m_settings.stopIds, id) != m_settings.stopIds.end())
            return finish(stream, "end");
        stream.out.ids.push_back(id);
        stream.out.text = m_tokenizer.decode(stream.out.ids, true);
        for (const auto& stopText : m_settings.stopTexts) {
            const auto found = stopText.empty() ? std::string::npos : stream.out.text.find(stopText);
            if (found != std::string::npos) {
                stream.out.text.resize(found);
                return finish(stream, "stop text");
            }
        }
        send(stream, completeUtf8Prefix(stream.out.text));
    }

    /// Sends what is certain: whole characters, and nothing that may turn out to begin a stop text.
    void send(Stream& stream, std::size_t end)
    {
        if (!m_sink)
            return;
        const auto& text = stream.out.text;
        // An unfinished character decodes to U+FFFD at the end; it is held back until it is whole.
        if (!stream.done && end >= 3 && text.compare(end - 3, 3, "\xEF\xBF\xBD") == 0)
            end -= 3;
        if (!stream.done) {
            std::size_t longest = 0;
            for (const auto& stopText : m_settings.stopTexts)
                longest = std::max(longest, stopText.size());
            end = longest > 0 && end > longest - 1 ? end - (longest - 1) : longest > 0 ? 0 : end;
            while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
                --end;
        }
        if (end > stream.sent) {
            m_sink(stream.prompt, text.substr(stream.sent, end - stream.sent));
            stream.sent = end;
        }
    }

    void finish(Stream& stream, const char* reason)
    {
        stream.done = true;
        stream.out.stoppedBy = reason;
        send(stream, stream.out.text.size());
    }

    void finishAll(const char* reason)
    {
        for (auto& stream : m_streams) {
            if (!stream.done)
                finish(stream, reason);
        }
    }

    model::LanguageModel& m_model;
    const text::Tokenizer& m_tokenizer;
    const Settings& m_settings;
    const PieceSink& m_sink;
    Rng m_rng;
    model::KvCache m_cache;
    std::vector<Stream> m_streams;
};

} // namespace

std::vector<Generated> generate(model::LanguageModel& model, const text::Tokenizer& tokenizer,
                                const std::vector<std::vector<std::int32_t>>& prompts, const Settings& settings,
                                const PieceSink& sink, const std::function<bool()>& stop, std::int64_t slots)
{
    const at::NoGradGuard noGrad;
    std::vector<std::size_t> order(prompts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](auto a, auto b) { return prompts[a].size() > prompts[b].size(); });
    std::vector<Generated> results(prompts.size());
    for (auto& result : results)
        result.stoppedBy = "person";
    for (std::size_t from = 0; from < order.size(); from += static_cast<std::size_t>(slots)) {
        if (stop && stop())
            break;
        const auto to = std::min(order.size(), from + static_cast<std::size_t>(slots));
        Group(model, tokenizer, settings, sink)
            .run(prompts, {order.begin() + static_cast<std::ptrdiff_t>(from), order.begin() + static_cast<std::ptrdiff_t>(to)},
                 stop, results);
    }
    return results;
}

} // namespace fettle::generate
