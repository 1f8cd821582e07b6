#include "model/import/gguf_metadata.h"

#include "base/text.h"
#include "model/import/model_card.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

using tensor::GgufFile;
using tensor::GgufKeys;

namespace {

constexpr std::uint32_t kQuantisationVersion = 2;

/// "135M", "1.2B": as the names of such files say it.
std::string sizeLabel(std::int64_t parameters)
{
    const double count = static_cast<double>(parameters);
    const auto said = [](double value, const char* unit) {
        return value < 10 && std::abs(value - std::round(value)) > 0.05
                   ? fmt::format("{:.1f}{}", value, unit)
                   : fmt::format("{:.0f}{}", value, unit);
    };
    return count >= 1e9   ? said(count / 1e9, "B")
           : count >= 1e6 ? said(count / 1e6, "M")
                          : said(count / 1e3, "K");
}

/// One line: whatever breaks a line or the form of the head is left out.
std::string line(const std::string& text)
{
    std::string out = text.substr(0, 200);
    out = toValidUtf8(std::string_view(out).substr(0, completeUtf8Prefix(out)));
    std::erase_if(out, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    return out;
}

std::string line(const GgufFile& file, const char* key)
{
    return line(file.text(key).value_or(""));
}

std::string quoted(const std::string& text)
{
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The head of the card, so that licence and languages stay with the model.
std::string frontMatterFrom(const GgufFile& file)
{
    std::string head;
    for (const auto& [name, key] : {std::pair{"license", "general.license"},
                                    std::pair{"license_name", "general.license.name"},
                                    std::pair{"license_link", "general.license.link"}}) {
        if (const auto value = line(file, key); !value.empty())
            head += fmt::format("{}: {}\n", name, quoted(value));
    }
    const auto list = [&](const char* name, const std::vector<std::string>& values) {
        if (values.empty())
            return;
        head += fmt::format("{}:\n", name);
        for (const auto& value : values)
            head += fmt::format("- {}\n", quoted(line(value)));
    };
    list("language", file.texts("general.languages").value_or(std::vector<std::string>{}));
    std::vector<std::string> bases;
    const auto count = file.integer("general.base_model.count").value_or(0);
    for (std::int64_t i = 0; i < std::min<std::int64_t>(count, 16); ++i) {
        const auto of = [&](const char* what) {
            return line(file.text(fmt::format("general.base_model.{}.{}", i, what)).value_or(""));
        };
        const auto organisation = of("organization"), name = of("name");
        if (!name.empty())
            bases.push_back(organisation.empty() ? name : organisation + "/" + name);
    }
    list("base_model", bases);
    return head.empty() ? head : "---\n" + head + "---\n";
}

/// llama.cpp looks up four tokens of Phi-3 in every model whose name says "phi-3" and ends when one
/// is missing: such a name is written otherwise.
std::string safeName(std::string name, const text::GgufTokenizer& tokenizer)
{
    for (const char* token : {"</s>", "<unk>", "<s>", "<|endoftext|>"}) {
        if (std::ranges::find(tokenizer.tokens, token) != tokenizer.tokens.end())
            continue;
        for (const char* word : {"phi-3", "phi3"}) {
            auto at = lowerAscii(name).find(word);
            for (; at != std::string::npos; at = lowerAscii(name).find(word))
                name.replace(at + 3, std::string_view(word).size() - 3, " 3");
        }
    }
    return name;
}

std::optional<std::int64_t> tokenId(const GgufFile& file, const char* name)
{
    return file.integer(fmt::format("tokenizer.ggml.{}_token_id", name));
}

/// One id as number, several as list, none as null.
Json endIds(const GgufFile& file)
{
    std::vector<std::int64_t> ids;
    for (const char* name : {"eos", "eot", "eom"}) {
        const auto id = tokenId(file, name);
        if (id && std::find(ids.begin(), ids.end(), *id) == ids.end())
            ids.push_back(*id);
    }
    return ids.empty() ? Json() : ids.size() == 1 ? Json(ids[0]) : Json(ids);
}

/// Names of the ids in files, with the field that holds each.
constexpr std::pair<const char*, std::optional<std::int64_t> text::GgufTokenizer::*> kIds[] = {
    {"bos", &text::GgufTokenizer::bosId},       {"eos", &text::GgufTokenizer::eosId},
    {"eot", &text::GgufTokenizer::eotId},       {"eom", &text::GgufTokenizer::eomId},
    {"unknown", &text::GgufTokenizer::unkId},   {"padding", &text::GgufTokenizer::padId},
    {"seperator", &text::GgufTokenizer::sepId}, // so spelled by every reader
    {"cls", &text::GgufTokenizer::clsId},       {"mask", &text::GgufTokenizer::maskId},
};
constexpr std::pair<const char*, std::optional<bool> text::GgufTokenizer::*> kFlags[] = {
    {"add_bos_token", &text::GgufTokenizer::addBos},
    {"add_eos_token", &text::GgufTokenizer::addEos},
    {"add_sep_token", &text::GgufTokenizer::addSep},
    {"add_space_prefix", &text::GgufTokenizer::addSpacePrefix},
    {"remove_extra_whitespaces", &text::GgufTokenizer::removeExtraSpaces},
    {"normalizer.lowercase", &text::GgufTokenizer::lowercase},
    {"normalizer.strip_accents", &text::GgufTokenizer::stripAccents},
};

std::string bytesOf(const GgufFile& file, const char* key)
{
    const auto* value = file.find(key);
    const bool bytes =
        value && value->type == tensor::GgufType::Array &&
        (value->element == tensor::GgufType::U8 || value->element == tensor::GgufType::I8);
    return bytes ? std::string(reinterpret_cast<const char*>(value->bytes.data()),
                               value->bytes.size())
                 : std::string();
}

} // namespace

void metadataToGguf(const std::filesystem::path& folder, const ModelConfig& config,
                    std::string_view architecture, const text::GgufTokenizer& tokenizer,
                    GgufKind kind, GgufKeys& keys)
{
    const ModelCard card = readModelCard(folder);
    const auto text = [&](const char* key, const std::string& value) {
        if (!value.empty())
            keys.text(key, line(value));
    };
    keys.text("general.architecture", std::string(architecture));
    keys.text("general.type", "model");
    const auto name =
        folder.filename().empty() ? folder.parent_path().filename() : folder.filename();
    text("general.name", safeName(card.title.empty() ? name.string() : card.title, tokenizer));
    text("general.size_label", sizeLabel(ggufPart(config).parameters()));
    text("general.license", card.licence);
    text("general.license.name", card.licenceName);
    if (!card.languages.empty())
        keys.texts("general.languages", card.languages);
    if (!card.baseModels.empty())
        keys.u32("general.base_model.count", card.baseModels.size());
    for (std::size_t i = 0; i < card.baseModels.size(); ++i) {
        const auto& base = card.baseModels[i];
        const auto slash = base.find('/');
        const std::string prefix = fmt::format("general.base_model.{}.", i);
        keys.text(prefix + "name",
                  line(slash == std::string::npos ? base : base.substr(slash + 1)));
        if (slash != std::string::npos)
            keys.text(prefix + "organization", line(base.substr(0, slash)));
    }
    keys.u32("general.file_type", infoOf(kind).fileType);
    if (tensor::ggmlTypeInfo(static_cast<std::uint32_t>(infoOf(kind).type))->values > 1)
        keys.u32("general.quantization_version", kQuantisationVersion);
}

std::string readmeFromGguf(const GgufFile& file)
{
    std::string out = frontMatterFrom(file);
    const std::string name = line(file, "general.name");
    out += fmt::format("# {}\n\nImported from a GGUF file; the weights are float32.\n\n",
                       name.empty() ? "Model" : name);
    for (const auto& [label, key] :
         {std::pair{"Author", "general.author"}, std::pair{"Organisation", "general.organization"},
          std::pair{"Version", "general.version"}, std::pair{"Fine-tune", "general.finetune"},
          std::pair{"Licence", "general.license"},
          std::pair{"Licence name", "general.license.name"},
          std::pair{"Licence text", "general.license.link"}, std::pair{"Origin", "general.url"},
          std::pair{"Source", "general.source.url"},
          std::pair{"Base model", "general.base_model.0.repo_url"},
          std::pair{"Description", "general.description"}}) {
        if (const std::string text = line(file, key); !text.empty())
            out += fmt::format("- {}: {}\n", label, text);
    }
    return out;
}

void addTokenIds(const GgufFile& file, Json& config)
{
    config["eos_token_id"] = endIds(file);
    for (const auto& [key, name] :
         {std::pair{"bos_token_id", "bos"}, std::pair{"pad_token_id", "padding"}}) {
        const auto id = tokenId(file, name);
        config[key] = id ? Json(*id) : Json();
    }
}

Json generationFromGguf(const GgufFile& file)
{
    Json config{{"_from_model_config", true}};
    addTokenIds(file, config);
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
        if (config[key].is_null())
            config.erase(key);
    }
    const auto architecture = file.text("general.architecture").value_or("");
    if (const auto start = file.integer(architecture + ".decoder_start_token_id"))
        config["decoder_start_token_id"] = *start;
    return config;
}

void tokenizerToGguf(const text::GgufTokenizer& tokenizer, GgufKeys& keys)
{
    keys.text("tokenizer.ggml.model", tokenizer.model);
    if (!tokenizer.pre.empty())
        keys.text("tokenizer.ggml.pre", tokenizer.pre);
    keys.texts("tokenizer.ggml.tokens", tokenizer.tokens);
    if (!tokenizer.scores.empty())
        keys.f32s("tokenizer.ggml.scores", tokenizer.scores);
    keys.i32s("tokenizer.ggml.token_type", tokenizer.tokenTypes);
    if (!tokenizer.merges.empty())
        keys.texts("tokenizer.ggml.merges", tokenizer.merges);
    for (const auto& [name, member] : kIds) {
        if (const auto& id = tokenizer.*member)
            keys.u32(fmt::format("tokenizer.ggml.{}_token_id", name),
                     static_cast<std::uint64_t>(*id));
    }
    for (const auto& [name, member] : kFlags) {
        if (const auto& flag = tokenizer.*member)
            keys.flag(fmt::format("tokenizer.ggml.{}", name), *flag);
    }
    if (!tokenizer.charsmap.empty())
        keys.bytes("tokenizer.ggml.precompiled_charsmap", tokenizer.charsmap);
    if (!tokenizer.chatTemplate.empty())
        keys.text("tokenizer.chat_template", tokenizer.chatTemplate);
    if (!tokenizer.huggingFace.empty())
        keys.text("tokenizer.huggingface.json", tokenizer.huggingFace);
}

Result<text::GgufTokenizer> tokenizerFromGguf(const GgufFile& file)
{
    text::GgufTokenizer tokenizer;
    const auto model = file.text("tokenizer.ggml.model");
    auto tokens = file.texts("tokenizer.ggml.tokens");
    if (!model || !tokens)
        return Error{ErrorCode::NotFound, "the file has no tokenizer", file.path().string(),
                     "Choose a complete GGUF file of the model"};
    tokenizer.model = *model;
    tokenizer.pre = file.text("tokenizer.ggml.pre").value_or("");
    tokenizer.tokens = std::move(*tokens);
    if (auto scores = file.reals("tokenizer.ggml.scores"))
        tokenizer.scores = std::move(*scores);
    if (const auto types = file.integers("tokenizer.ggml.token_type"))
        tokenizer.tokenTypes.assign(types->begin(), types->end());
    if (auto merges = file.texts("tokenizer.ggml.merges"))
        tokenizer.merges = std::move(*merges);
    for (const auto& [name, member] : kIds)
        tokenizer.*member = tokenId(file, name);
    for (const auto& [name, member] : kFlags)
        tokenizer.*member = file.flag(fmt::format("tokenizer.ggml.{}", name));
    tokenizer.charsmap = bytesOf(file, "tokenizer.ggml.precompiled_charsmap");
    tokenizer.chatTemplate = file.text("tokenizer.chat_template").value_or("");
    tokenizer.huggingFace = file.text("tokenizer.huggingface.json").value_or("");
    tokenizer.contextLength =
        file.integer(file.text("general.architecture").value_or("") + ".context_length");
    return tokenizer;
}

} // namespace fettle::model
