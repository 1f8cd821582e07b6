#include "text/add_tokens.h"

#include "base/atomic_file.h"
#include "base/text.h"
#include "text/tokenizer_json.h"
#include "text/vocab_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace fettle::text {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxContent = 4096; // bytes; as long as a tokenizer file may have them
constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kMap = "special_tokens_map.json";
constexpr const char* kOlder = "added_tokens.json";

/// The files of one tokenizer; null: not there.
struct Files
{
    Json tokenizer, config, map, older;
};

Error invalid(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "new tokens",
            "Correct the list of tokens to add"};
}

Result<Json> optional(const fs::path& path)
{
    std::error_code ec;
    if (!fs::exists(path, ec))
        return Json();
    auto json = readJsonFile(path);
    if (json && !json->is_object())
        return Error{ErrorCode::InvalidInput, "this is not an object", path.filename().string(),
                     "Fetch the tokenizer's files again"};
    return json;
}

Result<Files> readFiles(const fs::path& folder)
{
    Files out;
    for (const auto& [name, json] :
         {std::pair<const char*, Json*>{"tokenizer.json", &out.tokenizer},
          {kConfig, &out.config},
          {kMap, &out.map},
          {kOlder, &out.older}}) {
        auto read = optional(folder / name);
        if (!read)
            return read.error();
        *json = *std::move(read);
    }
    if (!out.tokenizer.is_null())
        return out;
    const Json none = Json::object();
    auto made = tokenizerJsonFromVocab(folder, out.config.is_null() ? none : out.config,
                                       out.map.is_null() ? none : out.map);
    if (!made)
        return made.error();
    if (made->is_null())
        return Error{ErrorCode::Unsupported,
                     "tokens can be added only to a tokenizer.json or the older vocabulary files",
                     folder.string(), "Put the model's tokenizer.json beside its other files"};
    out.tokenizer = *std::move(made);
    return out;
}

Result<void> check(std::span<const NewToken> tokens)
{
    std::set<std::string> seen;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::string& content = tokens[i].content;
        if (content.empty() || !isValidUtf8(content))
            return invalid(fmt::format("token {} is empty or not valid UTF-8", i + 1));
        if (content.size() > kMaxContent)
            return invalid(fmt::format("token {} is longer than {} bytes", i + 1, kMaxContent));
        if (!seen.insert(content).second)
            return invalid(fmt::format("token {} occurs twice", i + 1));
    }
    return {};
}

/// The id that the reference gives to the next token.
TokenId nextId(const Json& tokenizer)
{
    auto next = static_cast<TokenId>(tokenizer["model"]["vocab"].size());
    for (const Json& token : tokenizer["added_tokens"])
        next = std::max(next, token.value("id", TokenId{-1}) + 1);
    return next;
}

Json described(const NewToken& token)
{
    return {{"content", token.content}, {"single_word", false},         {"lstrip", false},
            {"rstrip", false},          {"normalized", !token.special}, {"special", token.special}};
}

/// Adds a token to the lists of one of the files beside tokenizer.json that has such lists.
void addToLists(Json& file, const NewToken& token)
{
    if (file.is_null() || !token.special)
        return;
    for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
        if (file.contains(key) && file[key].is_array())
            file[key].push_back(token.content);
    }
}

void addToFiles(Files& files, const NewToken& token, TokenId id)
{
    Json entry = described(token);
    if (files.config.is_object() && files.config.contains("added_tokens_decoder") &&
        files.config["added_tokens_decoder"].is_object())
        files.config["added_tokens_decoder"][std::to_string(id)] = entry;
    addToLists(files.config, token);
    addToLists(files.map, token);
    if (files.older.is_object())
        files.older[token.content] = id;
    entry["id"] = id;
    files.tokenizer["added_tokens"].push_back(std::move(entry));
}

bool isAddedAlready(const Json& tokenizer, const std::string& content)
{
    return std::ranges::any_of(tokenizer["added_tokens"], [&](const Json& token) {
        return token.value("content", std::string()) == content;
    });
}

Result<void> writeFiles(const fs::path& folder, const Files& files)
{
    std::error_code ec;
    fs::create_directories(folder, ec);
    // The vocabulary comes last: whoever is interrupted has the old one with some more words on it.
    for (const auto& [name, json] : {std::pair<const char*, const Json*>{kOlder, &files.older},
                                     {kMap, &files.map},
                                     {kConfig, &files.config},
                                     {"tokenizer.json", &files.tokenizer}}) {
        if (json->is_null())
            continue;
        if (auto written = writeFileAtomically(folder / name, json->dump(2) + "\n"); !written)
            return written;
    }
    return {};
}

} // namespace

Result<TokensAdded> addTokens(const fs::path& from, const fs::path& to,
                              std::span<const NewToken> tokens)
{
    if (auto good = check(tokens); !good)
        return good.error();
    auto files = readFiles(from);
    if (!files)
        return files.error();
    const auto before = JsonTokenizer::fromJson(files->tokenizer);
    if (!before)
        return before.error();
    if (!files->tokenizer.contains("added_tokens") || files->tokenizer["added_tokens"].is_null())
        files->tokenizer["added_tokens"] = Json::array();
    TokensAdded out;
    out.vocabSizeBefore = (*before)->vocabSize();
    for (const NewToken& token : tokens) {
        const auto known = (*before)->idOf(token.content);
        const TokenId id = known.value_or(nextId(files->tokenizer));
        if (!known && !(*before)->tokenOf(id).empty())
            return Error{ErrorCode::Unsupported,
                         "the vocabulary has gaps, so that a new token would get the number of an "
                         "old one",
                         "tokenizer.json, /model/vocab",
                         "Use a tokenizer with a vocabulary in one piece"};
        out.tokens.push_back({id, !known, (*before)->encode(token.content)});
        if (!isAddedAlready(files->tokenizer, token.content))
            addToFiles(*files, token, id);
    }
    std::ranges::stable_sort(files->tokenizer["added_tokens"].get_ref<Json::array_t&>(), {},
                             [](const Json& token) { return token.value("id", TokenId{-1}); });
    const auto after = JsonTokenizer::fromJson(files->tokenizer);
    if (!after)
        return after.error();
    out.vocabSize = (*after)->vocabSize();
    if (auto written = writeFiles(to, *files); !written)
        return written.error();
    return out;
}

} // namespace fettle::text
