#include "generate/generator.h"

#include "base/text.h"
#include "model/decoder.h"
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

/// What all prompts begin with, read once.
struct SharedStart
{
    model::Decoder* decoder = nullptr; ///< null: nothing is shared
    std::size_t length = 0;
    model::KvCache cache;
};

/// Tokens that all prompts begin with; each keeps one of its own.
std::size_t commonLength(const std::vector<std::vector<std::int32_t>>& prompts)
{
    std::size_t common = prompts[0].size();
    for (const auto& prompt : prompts) {
        const auto limit = std::min(common, prompt.empty() ? 0 : prompt.size() - 1);
        common = 0;
        while (common < limit && prompt[common] == prompts[0][common])
            ++common;
    }
    return common;
}

SharedStart readStart(model::LanguageModel& model, const std::vector<std::vector<std::int32_t>>& prompts)
{
    constexpr std::size_t kWorth = 16; ///< tokens below which a pass of their own saves nothing
    SharedStart start;
    auto* decoder = dynamic_cast<model::Decoder*>(&model);
    if (!decoder || prompts.size() < 2 || !decoder->readsOn() || commonLength(prompts) < kWorth)
        return start;
    start.decoder = decoder;
    start.length = commonLength(prompts);
    model::PackedTokens tokens;
    tokens.add(std::span(prompts[0]).first(start.length));
    start.cache = model.makeCache(1, tokens.size());
    const std::vector<std::int64_t> slots = {0};
    model.prefill(tokens, start.cache, slots);
    return start;
}

/// Writes answers in a number of slots of one cache; a slot whose answer is finished takes the next prompt.
class Writer
{
public:
    Writer(model::LanguageModel& model, const text::Tokenizer& tokenizer, const Settings& settings, const Listener& listener)
        : m_model(model), m_tokenizer(tokenizer), m_settings(settings), m_listener(listener)
        , m_rng(settings.seed, "sampling")
    {
    }

    /// `order`: of the prompts; results has their size.
    void run(const std::vector<std::vector<std::int32_t>>& prompts, std::vector<std::size_t> order, std::int64_t slots,
             std::vector<Generated>& results)
    {
        m_results = &results;
        m_shared = readStart(m_model, prompts);
        std::ranges::reverse(order);  // the next one is at the end
        std::size_t longest = 0;
        for (const auto index : order)
            longest = std::max(longest, prompts[index].size());
        slots = std::min(slots, static_cast<std::int64_t>(order.size()));
        m_cache = m_model.makeCache(slots, static_cast<std::int64_t>(longest) + m_settings.maxNewTokens);
        m_streams.resize(static_cast<std::size_t>(slots));
        for (auto& stream : m_streams)
            stream.done = true;
        while (true) {
            if (m_listener.stop && m_listener.stop())
                break;
            refill(prompts, order);
            std::vector<std::int64_t> busy, ids;
            for (std::size_t slot = 0; slot < m_streams.size(); ++slot) {
                if (!m_streams[slot].done)
                    busy.push_back(static_cast<std::int64_t>(slot)), ids.push_back(m_streams[slot].out.ids.back());
            }
            if (busy.empty() && order.empty())
                return;
            if (!busy.empty())
                take(m_model.logits(m_model.decode(ids, m_cache, busy)), busy);
        }
        for (auto& stream : m_streams) {
            if (!stream.done)
                finish(stream, "person");
        }
    }

private:
    /// Reads the next prompts into the free slots. A quarter of the slots together, since the weights are made
    /// ready for each reading anew.
    void refill(const std::vector<std::vector<std::int32_t>>& prompts, std::vector<std::size_t>& order)
    {
        const auto free = static_cast<std::size_t>(std::ranges::count_if(m_streams, &Stream::done));
        if (order.empty() || (free < m_streams.size() && free * 4 < m_streams.size()))
            return;
        model::PackedTokens packed;
        std::vector<std::int64_t> slots, lastRows;
        for (std::size_t slot = 0; slot < m_streams.size() && !order.empty(); ++slot) {
            if (!m_streams[slot].done)
                continue;
            m_streams[slot] = Stream{order.back(), static_cast<std::int64_t>(slot), {}, 0, false};
            order.pop_back();
            slots.push_back(static_cast<std::int64_t>(slot));
            packed.add(std::span(prompts[m_streams[slot].prompt]).subspan(m_shared.length));
            lastRows.push_back(packed.size() - 1);
        }
        const auto hidden = m_shared.decoder ? m_shared.decoder->readOn(packed, m_shared.cache, {}, &m_cache, slots)
                                             : m_model.prefill(packed, m_cache, slots);
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
        if (stoppedByText(stream))
            return finish(stream, "stop text");
        if (static_cast<std::int64_t>(stream.out.ids.size()) >= m_settings.maxNewTokens)
            return finish(stream, "length");
        send(stream, completeUtf8Prefix(stream.out.text));
    }

    /// Cuts the text where a stop text begins.
    bool stoppedByText(Stream& stream) const
    {
        for (const auto& stopText : m_settings.stopTexts) {
            const auto found = stopText.empty() ? std::string::npos : stream.out.text.find(stopText);
            if (found != std::string::npos) {
                stream.out.text.resize(found);
                return true;
            }
        }
        return false;
    }

    /// Sends what is certain: whole characters, and nothing that may turn out to begin a stop text.
    void send(Stream& stream, std::size_t end)
    {
        if (!m_listener.piece)
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
            m_listener.piece(stream.prompt, text.substr(stream.sent, end - stream.sent));
            stream.sent = end;
        }
    }

    void finish(Stream& stream, const char* reason)
    {
        stream.done = true;
        stream.out.stoppedBy = reason;
        send(stream, stream.out.text.size());
        (*m_results)[stream.prompt] = std::move(stream.out);
        if (++m_finished, m_listener.progress)
            m_listener.progress(m_finished);
    }

    model::LanguageModel& m_model;
    const text::Tokenizer& m_tokenizer;
    const Settings& m_settings;
    const Listener& m_listener;
    Rng m_rng;
    SharedStart m_shared;
    model::KvCache m_cache;
    std::vector<Stream> m_streams;  ///< of each slot
    std::vector<Generated>* m_results = nullptr;
    std::size_t m_finished = 0;
};

} // namespace

std::vector<Generated> generate(model::LanguageModel& model, const text::Tokenizer& tokenizer,
                                const std::vector<std::vector<std::int32_t>>& prompts, const Settings& settings,
                                const Listener& listener, std::int64_t slots)
{
    const at::NoGradGuard noGrad;
    std::vector<std::size_t> order(prompts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](auto a, auto b) { return prompts[a].size() > prompts[b].size(); });
    std::vector<Generated> results(prompts.size());
    for (auto& result : results)
        result.stoppedBy = "person";
    if (!prompts.empty())
        Writer(model, tokenizer, settings, listener).run(prompts, std::move(order), slots, results);
    return results;
}

} // namespace fettle::generate
