#include "text/vocab_files.h"

#include "base/atomic_file.h"
#include "base/text.h"

#include <fmt/format.h>
#include <map>

namespace fettle::text {

namespace {

namespace fs = std::filesystem;

constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

/// Lines end at line feeds alone: U+2028 and others are tokens.
Result<std::vector<std::string>> linesOf(const fs::path& path)
{
    const auto bytes = readFile(path);
    if (!bytes)
        return bytes.error();
    if (!isValidUtf8(*bytes))
        return Error{ErrorCode::InvalidInput, "the file is not UTF-8 text",
                     path.filename().string(), "Fetch the tokenizer's files again"};
    std::vector<std::string> lines;
    for (auto& line : splitOn(*bytes, '\n')) {
        std::string text(line);
        if (text.ends_with('\r'))
            text.pop_back();
        lines.push_back(std::move(text));
    }
    if (!lines.empty() && lines.back().empty())
        lines.pop_back(); // behind the last line feed
    return lines;
}

Json addedToken(std::int64_t id, const std::string& content, bool special)
{
    return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", special}};
}

std::optional<std::int64_t> idFrom(const std::string& text)
{
    if (text.empty() || text.size() > 9 ||
        text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    return std::stoll(text);
}

/// Tokens beside the vocabulary, by id: added_tokens_decoder, else added_tokens.json; and the
/// roles.
Result<Json> addedTokens(const fs::path& folder, const Json& config, const Json& map,
                         const Json& vocab)
{
    std::map<std::int64_t, Json> byId;
    const auto wrong = [](const char* file) {
        return Error{ErrorCode::InvalidInput, "the list of added tokens cannot be read", file,
                     "Fetch the tokenizer's files again"};
    };
    const Json decoder = config.value("added_tokens_decoder", Json::object());
    for (const auto& [key, token] : decoder.items()) {
        const auto id = idFrom(key);
        if (!id || !token.is_object() || !token.value("content", Json()).is_string())
            return wrong("tokenizer_config.json");
        Json entry = addedToken(*id, token["content"].get<std::string>(), false);
        for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
            if (token.contains(flag) && token[flag].is_boolean())
                entry[flag] = token[flag];
        }
        byId[*id] = entry;
    }
    std::error_code ec;
    if (decoder.empty() && fs::exists(folder / "added_tokens.json", ec)) {
        const auto added = readJsonFile(folder / "added_tokens.json");
        if (!added)
            return added.error();
        for (const auto& [content, id] : added->items()) {
            if (!id.is_number_unsigned())
                return wrong("added_tokens.json");
            byId[id.get<std::int64_t>()] = addedToken(id.get<std::int64_t>(), content, false);
        }
    }
    for (const char* role : kRoles) {
        std::string text = tokenText(config, role);
        if (text.empty())
            text = tokenText(map, role);
        if (text.empty() || !vocab.contains(text))
            continue;
        if (!vocab[text].is_number_unsigned())
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the id of the token '{}' is no whole number", quotable(text)),
                         "vocab.json", "Fetch the tokenizer's files again"};
        const auto id = vocab[text].get<std::int64_t>();
        if (!byId.contains(id))
            byId[id] = addedToken(id, text, true);
    }
    Json list = Json::array();
    for (auto& [id, token] : byId)
        list.push_back(std::move(token));
    return list;
}

bool flagOf(const Json& config, const char* key, bool byDefault)
{
    const auto found = config.find(key);
    return found != config.end() && found->is_boolean() ? found->get<bool>() : byDefault;
}

Json pairProcessor(const Json& vocab, const std::string& type, const std::string& first,
                   const std::string& last)
{
    if (!vocab.contains(first) || !vocab.contains(last))
        return nullptr;
    return {{"type", type}, {"sep", {last, vocab[last]}}, {"cls", {first, vocab[first]}}};
}

Result<Json> fromMerges(const fs::path& folder, const Json& config, const Json& map)
{
    const auto vocab = readJsonFile(folder / "vocab.json");
    if (!vocab)
        return vocab.error();
    const auto lines = linesOf(folder / "merges.txt");
    if (!lines)
        return lines.error();
    if (!vocab->is_object())
        return Error{ErrorCode::InvalidInput, "this is not an object", "vocab.json",
                     "Fetch the tokenizer's files again"};
    Json merges = Json::array();
    for (std::size_t i = 0; i < lines->size(); ++i) {
        const auto& line = (*lines)[i];
        if (line.empty() || (i == 0 && line.starts_with("#version")))
            continue;
        const auto space = line.find(' ');
        if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
            return Error{ErrorCode::InvalidInput, "a merge is not two tokens",
                         fmt::format("merges.txt, line {}", i + 1),
                         "Fetch the tokenizer's files again"};
        merges.push_back(line);
    }
    auto added = addedTokens(folder, config, map, *vocab);
    if (!added)
        return added.error();
    const auto kind = config.find("tokenizer_class");
    const bool roberta = kind != config.end() && kind->is_string() &&
                         kind->get_ref<const std::string&>().find("Roberta") != std::string::npos;
    Json around = roberta ? pairProcessor(*vocab, "RobertaProcessing", "<s>", "</s>") : Json();
    if (around.is_null())
        around = {{"type", "ByteLevel"}};
    return Json{
        {"version", "1.0"},
        {"added_tokens", *std::move(added)},
        {"normalizer", nullptr},
        {"pre_tokenizer",
         {{"type", "ByteLevel"}, {"add_prefix_space", flagOf(config, "add_prefix_space", false)}}},
        {"post_processor", around},
        {"decoder", {{"type", "ByteLevel"}}},
        {"model", {{"type", "BPE"}, {"vocab", *vocab}, {"merges", merges}}}};
}

Result<Json> fromWordPieces(const fs::path& folder, const Json& config, const Json& map)
{
    const auto lines = linesOf(folder / "vocab.txt");
    if (!lines)
        return lines.error();
    Json vocab = Json::object();
    for (std::size_t i = 0; i < lines->size(); ++i) {
        if (!vocab.emplace((*lines)[i], i).second)
            return Error{ErrorCode::InvalidInput, "a piece occurs twice",
                         fmt::format("vocab.txt, line {}", i + 1),
                         "Fetch the tokenizer's files again"};
    }
    Json roles = map;
    for (const auto& [role, usual] :
         {std::pair{"unk_token", "[UNK]"}, std::pair{"sep_token", "[SEP]"},
          std::pair{"pad_token", "[PAD]"}, std::pair{"cls_token", "[CLS]"},
          std::pair{"mask_token", "[MASK]"}}) {
        if (!roles.contains(role))
            roles[role] = usual;
    }
    auto added = addedTokens(folder, config, roles, vocab);
    if (!added)
        return added.error();
    const auto role = [&](const char* key) {
        const auto text = tokenText(config, key);
        return text.empty() ? tokenText(roles, key) : text;
    };
    const auto strip = config.find("strip_accents");
    return Json{
        {"version", "1.0"},
        {"added_tokens", *std::move(added)},
        {"normalizer",
         {{"type", "BertNormalizer"},
          {"clean_text", true},
          {"handle_chinese_chars", flagOf(config, "tokenize_chinese_chars", true)},
          {"strip_accents", strip == config.end() ? Json() : *strip},
          {"lowercase", flagOf(config, "do_lower_case", true)}}},
        {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
        {"post_processor",
         pairProcessor(vocab, "BertProcessing", role("cls_token"), role("sep_token"))},
        {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
        {"model", {{"type", "WordPiece"}, {"vocab", vocab}, {"unk_token", role("unk_token")}}}};
}

} // namespace

std::string tokenText(const Json& config, const char* key)
{
    const auto found = config.find(key);
    if (found == config.end())
        return {};
    if (found->is_string())
        return found->get<std::string>();
    if (found->is_object() && found->contains("content") && (*found)["content"].is_string())
        return (*found)["content"].get<std::string>();
    return {};
}

Result<Json> tokenizerJsonFromVocab(const fs::path& folder, const Json& config, const Json& map)
{
    std::error_code ec;
    if (fs::exists(folder / "vocab.json", ec) && fs::exists(folder / "merges.txt", ec))
        return fromMerges(folder, config, map);
    if (fs::exists(folder / "vocab.txt", ec))
        return fromWordPieces(folder, config, map);
    return Json();
}

} // namespace fettle::text
