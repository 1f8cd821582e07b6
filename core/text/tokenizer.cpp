#include "text/tokenizer.h"

#include "base/json.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/vocab_files.h"

namespace fettle::text {

namespace {

namespace fs = std::filesystem;

constexpr double kMaxPromise = 1e9; // larger lengths mean "none" (Python writes 1e30)

/// An optional JSON file of the folder; an empty object when it is not there.
Result<Json> readOptional(const fs::path& path)
{
    std::error_code ec;
    if (!fs::exists(path, ec))
        return Json::object();
    auto json = readJsonFile(path);
    if (json && !json->is_object())
        return Error{ErrorCode::InvalidInput, "this is not an object", path.filename().string(),
                     "Fetch the tokenizer's files again"};
    return json;
}

/// tokenizer_config.json names the roles; special_tokens_map.json is asked last.
void setRoles(Tokenizer& tokenizer, const Json& config, const Json& map)
{
    struct Role
    {
        const char* key;
        std::string& text;
        std::optional<TokenId>& id;
    };
    for (const Role& role : {Role{"bos_token", tokenizer.bosToken, tokenizer.bosId},
                             Role{"eos_token", tokenizer.eosToken, tokenizer.eosId},
                             Role{"pad_token", tokenizer.padToken, tokenizer.padId},
                             Role{"unk_token", tokenizer.unkToken, tokenizer.unkId}}) {
        std::string text = tokenText(config, role.key);
        if (text.empty())
            text = tokenText(map, role.key);
        if (text.empty())
            continue;
        role.id = tokenizer.idOf(text);
        role.text = role.id ? text : std::string();
    }
    const auto length = config.find("model_max_length");
    if (length != config.end() && length->is_number() && length->get<double>() >= 1 &&
        length->get<double>() < kMaxPromise)
        tokenizer.maxLength = static_cast<std::int64_t>(length->get<double>());
}

bool isTrue(const Json& config, const char* key)
{
    const auto found = config.find(key);
    return found != config.end() && found->is_boolean() && found->get<bool>();
}

Result<std::shared_ptr<const Tokenizer>> fromJson(const Json& json, const Json& config,
                                                  const Json& map)
{
    auto tokenizer = JsonTokenizer::fromJson(json);
    if (!tokenizer)
        return tokenizer.error();
    setRoles(**tokenizer, config, map);
    (*tokenizer)->addBos = isTrue(config, "add_bos_token");
    (*tokenizer)->addEos = isTrue(config, "add_eos_token");
    return std::shared_ptr<const Tokenizer>(*std::move(tokenizer));
}

} // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const fs::path& folder)
{
    const auto config = readOptional(folder / "tokenizer_config.json");
    if (!config)
        return config.error();
    const auto map = readOptional(folder / "special_tokens_map.json");
    if (!map)
        return map.error();
    std::error_code ec;
    if (fs::exists(folder / "tokenizer.json", ec)) {
        const auto json = readJsonFile(folder / "tokenizer.json");
        return json ? fromJson(*json, *config, *map) : json.error();
    }
    for (const char* name : {"tokenizer.model", "spiece.model"}) {
        if (!fs::exists(folder / name, ec))
            continue;
        auto tokenizer = SentencePieceTokenizer::open(folder / name, *config);
        if (!tokenizer)
            return tokenizer.error();
        setRoles(**tokenizer, *config, *map);
        return std::shared_ptr<const Tokenizer>(*std::move(tokenizer));
    }
    const auto older = tokenizerJsonFromVocab(folder, *config, *map);
    if (!older)
        return older.error();
    if (!older->is_null())
        return fromJson(*older, *config, *map);
    if (fs::exists(folder / "tekken.json", ec))
        return Error{ErrorCode::Unsupported, "tekken.json is not known here", folder.string(),
                     "Put the model's tokenizer.json beside it"};
    return Error{
        ErrorCode::NotFound,
        "the folder has no tokenizer (tokenizer.json, tokenizer.model, vocab.json or vocab.txt)",
        folder.string(), "Copy the tokenizer's files of the model into it"};
}

} // namespace fettle::text
