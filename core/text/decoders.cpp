#include "text/decoders.h"

#include "base/text.h"
#include "text/byte_level.h"
#include "text/json_parts.h"
#include "text/metaspace.h"
#include "text/normalizers.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text {

namespace {

void joinAll(std::vector<std::string>& tokens)
{
    std::string all;
    for (const std::string& token : tokens)
        all += token;
    tokens.assign(1, std::move(all));
}

class ByteLevelDecoder final : public Decoder
{
public:
    void apply(std::vector<std::string>& tokens) const override
    {
        std::string all;
        for (const std::string& token : tokens)
            appendFromByteLevel(all, token);
        tokens.assign(1, std::move(all));
    }
};

class FuseDecoder final : public Decoder
{
public:
    void apply(std::vector<std::string>& tokens) const override { joinAll(tokens); }
};

class ReplaceDecoder final : public Decoder
{
public:
    explicit ReplaceDecoder(Replacement replacement)
        : m_replacement(std::move(replacement))
    {
    }
    void apply(std::vector<std::string>& tokens) const override
    {
        for (std::string& token : tokens) {
            if (!isValidUtf8(token))
                token = toValidUtf8(token);
            m_replacement.apply(token);
        }
    }
    double growth() const override { return 3 * m_replacement.growth(); } // a stray byte: U+FFFD

private:
    Replacement m_replacement;
};

/// Runs of <0xHH> become their text; one U+FFFD a byte when they are none. An unfinished character
/// at the very end stays as it is: in streaming, its rest may still come.
class ByteFallbackDecoder final : public Decoder
{
public:
    void apply(std::vector<std::string>& tokens) const override
    {
        std::vector<std::string> out;
        std::string run;
        const auto flush = [&](bool last) {
            const std::size_t whole = last ? completeUtf8Prefix(run) : run.size();
            if (isValidUtf8(std::string_view(run).substr(0, whole))) {
                if (!run.empty())
                    out.push_back(run);
            } else {
                out.insert(out.end(), run.size(), "\xEF\xBF\xBD");
            }
            run.clear();
        };
        for (std::string& token : tokens) {
            if (const int byte = byteOf(token); byte >= 0) {
                run += static_cast<char>(byte);
                continue;
            }
            flush(false);
            out.push_back(std::move(token));
        }
        flush(true);
        tokens = std::move(out);
    }

private:
    static int digit(char c)
    {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                      : -1;
    }
    static int byteOf(const std::string& token)
    {
        if (token.size() != 6 || token.compare(0, 3, "<0x") != 0 || token[5] != '>')
            return -1;
        const int high = digit(token[3]), low = digit(token[4]);
        return high < 0 || low < 0 ? -1 : high * 16 + low;
    }
};

class StripDecoder final : public Decoder
{
public:
    StripDecoder(std::string content, std::int64_t start, std::int64_t stop)
        : m_content(std::move(content))
        , m_start(start)
        , m_stop(stop)
    {
    }
    void apply(std::vector<std::string>& tokens) const override
    {
        for (std::string& token : tokens) {
            std::string_view text = token;
            for (std::int64_t i = 0; i < m_start && text.substr(0, m_content.size()) == m_content;
                 ++i)
                text.remove_prefix(m_content.size());
            for (std::int64_t i = 0; i < m_stop && text.size() >= m_content.size() &&
                                     text.substr(text.size() - m_content.size()) == m_content;
                 ++i)
                text.remove_suffix(m_content.size());
            token = std::string(text);
        }
    }

private:
    std::string m_content;
    std::int64_t m_start, m_stop;
};

class MetaspaceDecoder final : public Decoder
{
public:
    explicit MetaspaceDecoder(Metaspace settings)
        : m_settings(std::move(settings))
    {
    }
    void apply(std::vector<std::string>& tokens) const override
    {
        const std::string& mark = m_settings.replacement;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const bool drop = i == 0 && m_settings.prepend != Metaspace::Prepend::Never;
            std::string text;
            std::size_t last = 0;
            for (auto at = tokens[i].find(mark); at != std::string::npos;
                 at = tokens[i].find(mark, last)) {
                text.append(tokens[i], last, at - last);
                if (!drop)
                    text += ' ';
                last = at + mark.size();
            }
            tokens[i] = text + tokens[i].substr(last);
        }
    }

private:
    Metaspace m_settings;
};

void replaceAll(std::string& text, std::string_view from, std::string_view to)
{
    std::string out;
    std::size_t last = 0;
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, last)) {
        out.append(text, last, at - last).append(to);
        last = at + from.size();
    }
    if (last > 0)
        text = out.append(text, last);
}

/// English punctuation and short forms without the space that joining put before them.
void cleanUp(std::string& text)
{
    constexpr std::pair<std::string_view, std::string_view> kRules[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : kRules)
        replaceAll(text, from, to);
}

class WordPieceDecoder final : public Decoder
{
public:
    WordPieceDecoder(std::string prefix, bool cleanup)
        : m_prefix(std::move(prefix))
        , m_cleanup(cleanup)
    {
    }
    void apply(std::vector<std::string>& tokens) const override
    {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (i > 0 && tokens[i].starts_with(m_prefix))
                tokens[i].erase(0, m_prefix.size());
            else if (i > 0)
                tokens[i].insert(0, " ");
            if (m_cleanup)
                cleanUp(tokens[i]);
        }
    }

private:
    std::string m_prefix;
    bool m_cleanup;
};

class BpeDecoder final : public Decoder
{
public:
    explicit BpeDecoder(std::string suffix)
        : m_suffix(std::move(suffix))
    {
    }
    void apply(std::vector<std::string>& tokens) const override
    {
        for (std::size_t i = 0; i < tokens.size() && !m_suffix.empty(); ++i)
            replaceAll(tokens[i], m_suffix, i + 1 == tokens.size() ? "" : " ");
    }

private:
    std::string m_suffix;
};

/// Connectionist temporal classification: repeats become one, the pad token nothing.
class CtcDecoder final : public Decoder
{
public:
    CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
        : m_pad(std::move(pad))
        , m_delimiter(std::move(delimiter))
        , m_cleanup(cleanup)
    {
    }
    void apply(std::vector<std::string>& tokens) const override
    {
        tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
        std::vector<std::string> out;
        for (std::string& token : tokens) {
            if (!m_pad.empty())
                replaceAll(token, m_pad, "");
            if (m_cleanup) {
                cleanUp(token);
                if (!m_delimiter.empty())
                    replaceAll(token, m_delimiter, " ");
            }
            if (!token.empty())
                out.push_back(std::move(token));
        }
        tokens = std::move(out);
    }

private:
    std::string m_pad, m_delimiter;
    bool m_cleanup;
};

/// No key of a decoder is left out silently.
Result<void> knownKeys(const JsonPart& part, const std::string& type)
{
    if (type == "Replace")
        return part.onlyKeys({"type", "pattern", "content"});
    if (type == "Strip")
        return part.onlyKeys({"type", "content", "start", "stop"});
    if (type == "WordPiece")
        return part.onlyKeys({"type", "prefix", "cleanup"});
    if (type == "BPEDecoder")
        return part.onlyKeys({"type", "suffix"});
    if (type == "CTC")
        return part.onlyKeys({"type", "pad_token", "word_delimiter_token", "cleanup"});
    return {};
}

Result<std::unique_ptr<const Decoder>> makeDecoder(const JsonPart& part)
{
    using Made = std::unique_ptr<const Decoder>;
    const std::string type = part.type();
    if (type == "ByteLevel") {
        if (auto known = part.onlyKeys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
            !known)
            return known.error();
        return Made(new ByteLevelDecoder);
    }
    if (type == "Fuse" || type == "ByteFallback") {
        if (auto known = part.onlyKeys({"type"}); !known)
            return known.error();
        return type == "Fuse" ? Made(new FuseDecoder) : Made(new ByteFallbackDecoder);
    }
    if (auto known = knownKeys(part, type); !known)
        return known.error();
    if (type == "Replace") {
        auto replacement = Replacement::fromJson(part.json(), part.place());
        if (!replacement)
            return replacement.error();
        return Made(new ReplaceDecoder(*std::move(replacement)));
    }
    if (type == "Strip") {
        const auto content = part.text("content", " ");
        const auto start = part.number("start", 0), stop = part.number("stop", 0);
        if (!content || content->empty() || !start || !stop)
            return part.badKinds();
        return Made(new StripDecoder(*content, *start, *stop));
    }
    if (type == "Metaspace") {
        auto settings = Metaspace::fromJson(part);
        if (!settings)
            return settings.error();
        return Made(new MetaspaceDecoder(*settings));
    }
    if (type == "WordPiece") {
        const auto prefix = part.text("prefix", "##");
        const auto cleanup = part.flag("cleanup", true);
        if (!prefix || !cleanup)
            return part.badKinds();
        return Made(new WordPieceDecoder(*prefix, *cleanup));
    }
    if (type == "BPEDecoder") {
        const auto suffix = part.text("suffix", "</w>");
        if (!suffix)
            return part.badKinds();
        return Made(new BpeDecoder(*suffix));
    }
    if (type == "CTC") {
        const auto pad = part.text("pad_token", "<pad>"),
                   delimiter = part.text("word_delimiter_token", "|");
        const auto cleanup = part.flag("cleanup", true);
        if (!pad || !delimiter || !cleanup)
            return part.badKinds();
        return Made(new CtcDecoder(*pad, *delimiter, *cleanup));
    }
    return part.unknown(fmt::format("the decoder \"{}\"", type));
}

Result<void> addDecoder(const JsonPart& part, Decoders& out, int depth)
{
    if (depth > 16)
        return part.invalid("sequences are nested too deeply");
    if (part.type() != "Sequence") {
        auto decoder = makeDecoder(part);
        if (!decoder)
            return decoder.error();
        out.steps.push_back(*std::move(decoder));
        return {};
    }
    const Json& list = part.child("decoders");
    if (!list.is_array())
        return part.badKinds();
    for (std::size_t i = 0; i < list.size(); ++i) {
        const JsonPart item(list[i], fmt::format("{}/decoders/{}", part.place(), i));
        if (auto added = addDecoder(item, out, depth + 1); !added)
            return added;
    }
    return part.onlyKeys({"type", "decoders"});
}

} // namespace

Result<Decoders> readDecoders(const Json& json)
{
    Decoders out;
    if (json.is_null())
        return out;
    out.present = true;
    const JsonPart part(json, "/decoder");
    if (auto added = addDecoder(part, out, 0); !added)
        return added.error();
    double growth = 1;
    for (const auto& step : out.steps)
        growth *= step->growth();
    if (auto bounded = part.boundedGrowth(growth); !bounded)
        return bounded.error();
    return out;
}

} // namespace fettle::text
