#include "text/gguf_pre_tokenizers.h"

#include "base/sha256.h"
#include "base/text.h"
#include "text/json_parts.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::text {

namespace {

constexpr const char* kLlamaPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepSeekWords =
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kCjkOfCoder =
    "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+";
constexpr const char* kCjkOfV3 =
    "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+";
// clang-format off
constexpr const char* kDeepSeekLetters =
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-"
    "ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-"
    "ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻"
    "𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
constexpr const char* kDeepSeekSigns =
    "\\s?[!-/:-~！-／：-～‘-‟　-。]+";
constexpr const char* kBloomWords =
    " ?[^(\\s|.,!?…。，、।۔،)]+";
// clang-format on

const std::vector<GgufPreTokenizer>& table()
{
    static const std::vector<GgufPreTokenizer> rows{
        {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
          "a.x-4.0", "mellum", "gigachat", "roberta-bpe", "jina-v1-en", "jina-v2-code",
          "jina-v2-es", "jina-v2-de", "jina-es", "jina-de", "modern-bert"},
         {kStepGpt2}},
        {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
          "mellum2"},
         {kStepDigits, kStepGpt2}},
        {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
          "jina-v5-nano"},
         {kLlamaPattern},
         false,
         true,
         true},
        {{"glm4", "glm5"}, {kLlamaPattern}, false, true},
        {{"smaug-bpe", "dbrx", "chatglm-bpe"}, {kLlamaPattern}},
        {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"}, {kQwen2Pattern}, true},
        {{"stablelm2", "hunyuan", "solar-open"}, {kQwen2Pattern}},
        {{"qwen35"}, {kQwen35Pattern}, true},
        {{"tekken"}, {kTekkenPattern}, false, true, true},
        {{"gpt-4o", "llama4", "kanana2", "minimax-m2"}, {kGpt4oPattern}},
        {{"deepseek-coder"}, {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjkOfCoder, kStepDigits}},
        {{"deepseek-llm"},
         {"[\r\n]", kDeepSeekLetters, kDeepSeekSigns, "\\s+$", kCjkOfCoder, kStepNumbers}},
        {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
         {R"(\p{N}{1,3})", kCjkOfV3, kDeepSeekWords}},
        {{"falcon"}, {kStepPunctuation, kStepGpt2, kStepNumbers, "[0-9][0-9][0-9]"}},
        {{"bloom", "poro-chat", "gpt3-finnish"}, {kBloomWords}},
        {{"viking"}, {kBloomWords, kStepDigits}},
    };
    return rows;
}

Error cannotSay(const std::string& what)
{
    return {ErrorCode::Unsupported, "GGUF files cannot express " + what, "tokenizer.json",
            "Write the model as a Hugging Face folder instead"};
}

/// One part of a pre_tokenizer as a step; "" for a part that does not cut.
Result<std::string> stepOf(const Json& part, JsonReader& read)
{
    const std::string type = read.text(part, "type");
    if (type == "ByteLevel") {
        if (read.flag(part, "add_prefix_space", true))
            return cannotSay("a space in front of every text before byte-level BPE");
        return std::string(read.flag(part, "use_regex", true) ? kStepGpt2 : "");
    }
    if (type == "Digits")
        return std::string(read.flag(part, "individual_digits", false) ? kStepDigits
                                                                       : kStepNumbers);
    if (type == "Punctuation" && read.text(part, "behavior", "Isolated") == "Contiguous")
        return std::string(kStepPunctuation);
    if (type != "Split" || !read.object(part, "pattern").contains("Regex"))
        return cannotSay(fmt::format("the pre-tokenizer part \"{}\"", quotable(type, 40)));
    const std::string behavior = read.text(part, "behavior");
    const bool invert = read.flag(part, "invert", false);
    if (!(behavior == "Isolated" && !invert) && !(behavior == "Removed" && invert))
        return cannotSay(fmt::format("a split by \"{}\"", quotable(behavior, 40)));
    return read.text(read.object(part, "pattern"), "Regex");
}

Result<bool> composesFirst(const Json& tokenizer, JsonReader& read)
{
    const auto parts = read.parts(tokenizer, "normalizer", "normalizers");
    for (const auto& part : parts) {
        if (read.text(part, "type") != "NFC")
            return cannotSay(fmt::format("the normalizer \"{}\" before byte-level BPE",
                                         quotable(read.text(part, "type"), 40)));
    }
    return !parts.empty();
}

} // namespace

const GgufPreTokenizer* ggufPreTokenizer(const std::string& name)
{
    for (const auto& row : table()) {
        if (std::ranges::find(row.names, name) != row.names.end())
            return &row;
    }
    return nullptr;
}

Json preTokenizerJson(const GgufPreTokenizer& pre)
{
    Json list = Json::array();
    bool gpt2 = false;
    const auto byteLevel = [](bool pattern) {
        return Json{{"type", "ByteLevel"},
                    {"add_prefix_space", false},
                    {"trim_offsets", true},
                    {"use_regex", pattern}};
    };
    for (const auto& step : pre.steps) {
        if (step == kStepGpt2) {
            list.push_back(byteLevel(true));
            gpt2 = true;
        } else if (step == kStepDigits || step == kStepNumbers) {
            list.push_back({{"type", "Digits"}, {"individual_digits", step == kStepDigits}});
        } else if (step == kStepPunctuation) {
            list.push_back({{"type", "Punctuation"}, {"behavior", "Contiguous"}});
        } else {
            list.push_back({{"type", "Split"},
                            {"pattern", {{"Regex", step}}},
                            {"behavior", "Isolated"},
                            {"invert", false}});
        }
    }
    if (!gpt2)
        list.push_back(byteLevel(false));
    return list.size() == 1 ? list[0] : Json{{"type", "Sequence"}, {"pretokenizers", list}};
}

Result<const GgufPreTokenizer*> ggufPreTokenizerOf(const Json& tokenizer)
{
    JsonReader read;
    std::vector<std::string> steps;
    for (const auto& part : read.parts(tokenizer, "pre_tokenizer", "pretokenizers")) {
        auto step = stepOf(part, read);
        if (!step)
            return read.result() ? step.error() : read.result().error();
        if (!step->empty())
            steps.push_back(*std::move(step));
    }
    const auto nfc = composesFirst(tokenizer, read);
    if (!nfc)
        return read.result() ? nfc.error() : read.result().error();
    const bool whole = read.flag(read.object(tokenizer, "model"), "ignore_merges", false);
    if (auto fine = read.result(); !fine)
        return fine.error();
    const GgufPreTokenizer* found = nullptr;
    for (const auto& row : table()) {
        if (row.steps != steps || row.ignoreMerges != whole)
            continue;
        if (!found || row.nfc == *nfc)
            found = found && found->nfc == *nfc ? found : &row;
    }
    if (found)
        return found;
    std::string all;
    for (const auto& step : steps)
        all += step;
    return cannotSay(fmt::format("this way of cutting text: {} steps, digest {}{}", steps.size(),
                                 sha256(all).substr(0, 16),
                                 whole ? ", with whole words kept" : ""));
}

} // namespace fettle::text
