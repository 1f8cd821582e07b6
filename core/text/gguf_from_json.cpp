// What a GGUF file says instead of a tokenizer.json.

#include "base/text.h"
#include "text/base64.h"
#include "text/gguf_models.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/json_parts.h"

#include <fmt/format.h>
#include <unordered_map>

namespace fettle::text {

namespace {

constexpr const char* kSpace = "\xE2\x96\x81"; // U+2581
constexpr float kAddedScore = -1000;           // as other writers give tokens that no merge makes
constexpr float kUnusedScore = -10000;         // and rows without a token

Error cannotSay(const std::string& what)
{
    return {ErrorCode::Unsupported, "GGUF files cannot express " + what, "tokenizer.json",
            "Write the model as a Hugging Face folder instead"};
}

bool isByteToken(const std::string& token)
{
    return token.size() == 6 && token.starts_with("<0x") && token.back() == '>';
}

/// A merge: two pieces.
using Merge = std::pair<std::string, std::string>;

/// Fills a GgufTokenizer. Values of a wrong kind are kept by `m_read` and reported at the end, so
/// that the steps read as the format does.
class Writer
{
public:
    Writer(const Json& json, GgufTokenizer& out)
        : m_json(json)
        , m_out(out)
    {
    }

    Result<void> run()
    {
        const auto done = byKind();
        const auto kinds = m_read.result(); // a wrong kind may be why the rest did not fit
        return kinds ? done : kinds;
    }

private:
    Result<void> byKind()
    {
        if (!m_json.is_object())
            m_read.wrong("the file holds no object");
        // Old files have no type; as the tokenizer itself tells them.
        const std::string byKeys = m_model.contains("merges")                      ? "BPE"
                                   : m_model.contains("continuing_subword_prefix") ? "WordPiece"
                                   : m_model.contains("vocab") && m_model["vocab"].is_array()
                                       ? "Unigram"
                                       : "WordLevel";
        const std::string type = m_read.text(m_model, "type", byKeys);
        if (auto fine = m_read.result(); !fine)
            return fine;
        if (type == "Unigram")
            return unigram();
        if (type == "WordPiece")
            return wordPiece();
        if (type != "BPE")
            return cannotSay(fmt::format("a tokenizer of the kind \"{}\"", quotable(type, 40)));
        for (const auto& part : preTokenizers()) {
            if (m_read.text(part, "type") == "ByteLevel")
                return byteLevel();
        }
        if (m_read.flag(m_model, "byte_fallback", false))
            return scored();
        return cannotSay("BPE that is neither over bytes nor falls back to them");
    }

    std::vector<Json> normalizers() { return m_read.parts(m_json, "normalizer", "normalizers"); }
    std::vector<Json> preTokenizers()
    {
        return m_read.parts(m_json, "pre_tokenizer", "pretokenizers");
    }

    /// `stored`: how such files hold a token.
    Result<void> placeVocabulary(std::string (*stored)(const std::string&) = nullptr)
    {
        for (const auto& [token, id] : m_read.object(m_model, "vocab").items()) {
            if (!id.is_number_integer()) {
                m_read.wrong("the number of a token is not a whole number");
                continue;
            }
            if (auto placed = placeGgufToken(m_out, id.get<std::int64_t>(),
                                             stored ? stored(token) : token, kGgufNormal);
                !placed)
                return placed;
        }
        return {};
    }

    Result<void> placeAdded()
    {
        std::int64_t trimming = 0;
        for (const auto& token : m_read.list(m_json, "added_tokens")) {
            const auto id = m_read.number(token, "id", -1);
            const auto kind =
                m_read.flag(token, "special", false) ? kGgufControl : kGgufUserDefined;
            if (auto placed = placeGgufToken(m_out, id, m_read.text(token, "content"), kind);
                !placed)
                return placed;
            if (!m_out.scores.empty())
                m_out.scores[static_cast<std::size_t>(id)] = kAddedScore;
            trimming += m_read.flag(token, "lstrip", false) ||
                        m_read.flag(token, "rstrip", false) ||
                        m_read.flag(token, "single_word", false);
        }
        if (trimming > 0)
            m_out.notes.push_back(fmt::format(
                "{} added tokens take in the white space beside them or stand only between words; "
                "programs that run GGUF files do not know that",
                trimming));
        return {};
    }

    std::vector<Merge> merges()
    {
        std::vector<Merge> all;
        for (const auto& merge : m_read.list(m_model, "merges")) {
            if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                merge[1].is_string()) {
                all.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
                continue;
            }
            const auto text = merge.is_string() ? merge.get<std::string>() : std::string();
            const auto space = text.find(' ');
            if (space == std::string::npos)
                m_read.wrong("a merge is not a pair of pieces");
            else
                all.emplace_back(text.substr(0, space), text.substr(space + 1));
        }
        return all;
    }

    Result<void> byteLevel()
    {
        const auto pre = ggufPreTokenizerOf(m_json);
        if (!pre)
            return pre.error();
        for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
            if (!m_read.text(m_model, key).empty())
                return cannotSay(fmt::format("the setting '{}' of the tokenizer", key));
        }
        m_out.model = "gpt2";
        m_out.pre = (*pre)->names.front();
        for (const auto& [left, right] : merges()) {
            if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos)
                return cannotSay("merges of pieces that hold a space");
            m_out.merges.push_back(left + " " + right);
        }
        bool nfc = (*pre)->nfc;
        for (const auto& part : normalizers())
            nfc = nfc || m_read.text(part, "type") == "NFC";
        if (nfc)
            m_out.notes.push_back(
                "composed characters (NFC) are not made by programs that run GGUF files: text in "
                "decomposed form gives other tokens there");
        if (auto placed = placeVocabulary(); !placed)
            return placed;
        return placeAdded();
    }

    /// How a space is put in front of the text; nothing for another form of normalizer.
    std::optional<bool> prefix()
    {
        const Json space = {{"String", " "}};
        bool prefix = false, spaces = false;
        for (const auto& part : normalizers()) {
            const std::string type = m_read.text(part, "type");
            if (type == "Prepend" && m_read.text(part, "prepend") == kSpace)
                prefix = true;
            else if (type == "Replace" && m_read.object(part, "pattern") == space &&
                     m_read.text(part, "content") == kSpace)
                spaces = true;
            else
                return std::nullopt;
        }
        for (const auto& part : preTokenizers()) {
            const std::string type = m_read.text(part, "type");
            const bool never = type == "Split" && m_read.object(part, "pattern") == space;
            if (type == "Metaspace") {
                spaces = true;
                const bool old = m_read.flag(part, "add_prefix_space", true);
                prefix = prefix ||
                         m_read.text(part, "prepend_scheme", old ? "always" : "never") != "never";
            } else if (!never || !spaces) { // no space is left to split at
                return std::nullopt;
            }
        }
        return spaces ? std::optional(prefix) : std::nullopt;
    }

    /// BPE over characters: readers merge by the score of what is made, so a piece gets the rank of
    /// its first merge as score.
    Result<void> scored()
    {
        const auto before = prefix();
        if (!before)
            return cannotSay("this normalizer or pre-tokenizer before BPE with byte fallback");
        if (m_read.flag(m_model, "ignore_merges", false))
            return cannotSay("whole words of the vocabulary beside BPE with byte fallback");
        m_out.model = "llama";
        m_out.pre = "default";
        m_out.addSpacePrefix = *before;
        m_out.scores.assign(m_out.tokens.size(), 0);
        if (auto placed = placeVocabulary(); !placed)
            return placed;
        std::unordered_map<std::string, float> ranks;
        float rank = 0;
        for (const auto& [left, right] : merges())
            ranks.try_emplace(left + right, rank -= 1);
        for (std::size_t id = 0; id < m_out.tokens.size(); ++id) {
            if (isByteToken(m_out.tokens[id]))
                m_out.tokenTypes[id] = kGgufByte;
            else if (const auto found = ranks.find(m_out.tokens[id]); found != ranks.end())
                m_out.scores[id] = found->second;
            else if (m_out.tokenTypes[id] == kGgufNormal)
                m_out.scores[id] = rank - 1; // a single character; never made by a merge
        }
        return placeAdded();
    }

    /// What happens to a text before Unigram.
    Result<void> beforeUnigram()
    {
        const Json runs = {{"Regex", " {2,}"}}, ends = {{"Regex", kGgufOuterSpaces}};
        bool ended = false; // spaces at the end go
        for (const auto& part : normalizers()) {
            const std::string type = m_read.text(part, "type");
            const Json& pattern = m_read.object(part, "pattern");
            if (type == "Precompiled") {
                auto map = fromBase64(m_read.text(part, "precompiled_charsmap"));
                if (!map)
                    m_read.wrong("'precompiled_charsmap' is not in base 64");
                else
                    m_out.charsmap = *std::move(map);
            } else if (type == "Replace" && pattern == runs) {
                m_out.removeExtraSpaces = true;
            } else if (type == "Strip" || pattern == ends) {
                ended = true;
            } else {
                return cannotSay(
                    fmt::format("the normalizer \"{}\" before Unigram", quotable(type, 40)));
            }
        }
        for (const auto& part : preTokenizers()) {
            const std::string type = m_read.text(part, "type");
            if (type == "Metaspace")
                m_out.addSpacePrefix = m_read.text(part, "prepend_scheme", "always") != "never" &&
                                       m_read.flag(part, "add_prefix_space", true);
            else if (type == "WhitespaceSplit") // every space goes, and each word gets one
                m_out.removeExtraSpaces = ended = true;
            else
                return cannotSay(
                    fmt::format("the pre-tokenizer \"{}\" before Unigram", quotable(type, 40)));
        }
        if (m_out.removeExtraSpaces == true && !ended)
            m_out.notes.push_back("programs that run GGUF files drop spaces at the end of a text");
        return {};
    }

    Result<void> unigram()
    {
        m_out.model = "t5";
        m_out.pre = "default";
        m_out.removeExtraSpaces = false;
        if (auto fine = beforeUnigram(); !fine)
            return fine;
        m_out.scores.assign(m_out.tokens.size(), kUnusedScore);
        std::int64_t id = 0;
        for (const auto& piece : m_read.list(m_model, "vocab")) {
            if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() ||
                !piece[1].is_number()) {
                m_read.wrong("a piece of the vocabulary is not a text with its score");
                continue;
            }
            const auto token = piece[0].get<std::string>();
            if (auto placed =
                    placeGgufToken(m_out, id, token, isByteToken(token) ? kGgufByte : kGgufNormal);
                !placed)
                return placed;
            m_out.scores[static_cast<std::size_t>(id++)] = piece[1].get<float>();
        }
        if (const auto unknown = m_read.number(m_model, "unk_id", -1); unknown >= 0)
            m_out.unkId = unknown;
        if (m_read.flag(m_model, "byte_fallback", false))
            m_out.notes.push_back("characters that no piece has are spelled by their bytes here, "
                                  "and unknown to programs that run GGUF files");
        return placeAdded();
    }

    Result<void> wordPiece()
    {
        for (const auto& part : preTokenizers()) {
            if (const auto type = m_read.text(part, "type"); type != "BertPreTokenizer")
                return cannotSay(
                    fmt::format("the pre-tokenizer \"{}\" before WordPiece", quotable(type, 40)));
        }
        const auto before = normalizers();
        if (before.size() != 1 || m_read.text(before[0], "type") != "BertNormalizer" ||
            !m_read.flag(before[0], "clean_text", true) ||
            !m_read.flag(before[0], "handle_chinese_chars", true))
            return cannotSay("WordPiece without the full normalizer of BERT");
        if (m_read.text(m_model, "continuing_subword_prefix", "##") != "##")
            return cannotSay("WordPiece with another mark than ## inside words");
        m_out.model = "bert";
        m_out.pre = "default";
        m_out.lowercase = m_read.flag(before[0], "lowercase", true);
        m_out.stripAccents =
            before[0].contains("strip_accents") && before[0]["strip_accents"].is_boolean()
                ? before[0]["strip_accents"].get<bool>()
                : *m_out.lowercase;
        m_out.notes.push_back(fmt::format(
            "words of more than {} characters are unknown here; programs that run GGUF files cut "
            "them into pieces",
            m_read.number(m_model, "max_input_chars_per_word", 100)));
        if (auto placed = placeVocabulary(ggufWordPiece); !placed)
            return placed;
        if (auto placed = placeAdded(); !placed)
            return placed;
        // The unknown token is none of a word's pieces.
        const auto unknown = m_read.text(m_model, "unk_token", "[UNK]");
        const auto& ids = m_read.object(m_model, "vocab");
        if (ids.contains(unknown) && ids[unknown].is_number_integer()) {
            m_out.unkId = ids[unknown].get<std::int64_t>();
            return placeGgufToken(m_out, *m_out.unkId, unknown, kGgufUnknown);
        }
        return {};
    }

    const Json& m_json;
    GgufTokenizer& m_out;
    JsonReader m_read;
    const Json& m_model = m_read.object(m_json, "model");
};

} // namespace

Result<void> placeGgufToken(GgufTokenizer& out, std::int64_t id, const std::string& token,
                            std::int32_t type)
{
    if (id < 0 || static_cast<std::size_t>(id) >= out.tokens.size())
        return Error{ErrorCode::InvalidInput,
                     fmt::format("a token has the number {}, the model's table has {} rows", id,
                                 out.tokens.size()),
                     "tokenizer.json", "Fetch tokenizer and weights from the same source"};
    out.tokens[static_cast<std::size_t>(id)] = token;
    out.tokenTypes[static_cast<std::size_t>(id)] = type;
    return {};
}

Result<void> ggufFromTokenizerJson(const Json& json, GgufTokenizer& out)
{
    return Writer(json, out).run();
}

} // namespace fettle::text
