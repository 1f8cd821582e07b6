#pragma once

#include "model/import_helpers.h"

#include <QTemporaryDir>
#include <filesystem>
#include <memory>

/// Models with a tokenizer, out of the fixtures, for tests of GGUF files.
namespace fettle::testing {

inline std::filesystem::path fixture(const std::string& name)
{
    return std::filesystem::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families" / name;
}

inline Json specialTokens(const std::vector<std::string>& tokens)
{
    Json added = Json::array();
    for (const auto& token : tokens)
        added.push_back({{"id", added.size()},
                         {"content", token},
                         {"special", true},
                         {"normalized", false},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false}});
    return added;
}

/// A byte-level tokenizer for the fixtures' 48 rows; three rows stay without a token.
inline Json smallTokenizer()
{
    const auto added = specialTokens({"<pad>", "<s>", "</s>"});
    Json vocab = Json::object();
    for (const auto& token : added)
        vocab[token["content"].get<std::string>()] = token["id"];
    for (char c = 'a'; c <= 'z'; ++c)
        vocab[std::string(1, c)] = vocab.size();
    for (const char* token :
         {"\xC4\xA0", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "ab", "abc",
          "\xC4\xA0"
          "ab",
          "th", "the"})
        vocab[token] = vocab.size();
    return {{"version", "1.0"},
            {"added_tokens", added},
            {"normalizer", nullptr},
            {"pre_tokenizer",
             {{"type", "ByteLevel"},
              {"add_prefix_space", false},
              {"use_regex", true},
              {"trim_offsets", true}}},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model",
             {{"type", "BPE"},
              {"vocab", vocab},
              {"merges", {"a b", "ab c", "\xC4\xA0 ab", "t h", "th e"}}}}};
}

/// Puts tokens of `added` around every text; "" for none.
inline Json surrounding(const std::string& before, const std::string& after, const Json& added)
{
    Json single = Json::array(), tokens = Json::object();
    const auto put = [&](const std::string& token) {
        if (token.empty())
            return;
        single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
        for (const auto& each : added) {
            if (each["content"] == token)
                tokens[token] = {{"id", token}, {"ids", {each["id"]}}, {"tokens", {token}}};
        }
    };
    put(before);
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    put(after);
    return {{"type", "TemplateProcessing"},
            {"single", single},
            {"pair",
             {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
              {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
            {"special_tokens", tokens}};
}

/// Unigram as the encoder-decoders have it, for 48 rows.
inline Json smallUnigram()
{
    const Json added = specialTokens({"<pad>", "</s>", "<unk>"});
    Json vocab = Json::array();
    const auto piece = [&](const std::string& text, double score) {
        vocab.push_back(Json::array({text, score}));
    };
    for (const char* text : {"<pad>", "</s>", "<unk>"})
        piece(text, 0);
    piece("\xE2\x96\x81", -3);
    for (char c = 'a'; c <= 'z'; ++c)
        piece(std::string(1, c), -5.0 - (c - 'a') / 8.0);
    double score = -4;
    for (const char* text : {"\xE2\x96\x81the", "ab", "abc",
                             "\xE2\x96\x81"
                             "ab",
                             "th", "4", "2", "42"})
        piece(text, score -= 0.25);
    const Json space = {{"type", "Metaspace"},
                        {"replacement", "\xE2\x96\x81"},
                        {"prepend_scheme", "always"},
                        {"split", true}};
    return {{"version", "1.0"},
            {"added_tokens", added},
            {"normalizer",
             {{"type", "Sequence"},
              {"normalizers",
               {{{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}},
                {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}}}}}},
            {"pre_tokenizer", space},
            {"post_processor", surrounding("", "</s>", added)},
            {"decoder", space},
            {"model", {{"type", "Unigram"}, {"unk_id", 2}, {"vocab", vocab}}}};
}

/// WordPiece as the encoders have it, for 48 rows.
inline Json smallWordPiece(bool lowercase = true)
{
    const Json added = specialTokens({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
    Json vocab = Json::object();
    for (const auto& each : added)
        vocab[each["content"].get<std::string>()] = each["id"];
    for (const char* piece :
         {"the", "abc",  "a", "b",   "c",         "##a",          "##b",
          "##c", "##bc", "4", "##2", "t",         "##h",          "##e",
          "A",   "##B",  "e", "!",   "[unused0]", "\xE4\xB8\xAD", "\xE6\x96\x87"})
        vocab[piece] = vocab.size();
    return {{"version", "1.0"},
            {"added_tokens", added},
            {"normalizer",
             {{"type", "BertNormalizer"},
              {"clean_text", true},
              {"handle_chinese_chars", true},
              {"strip_accents", nullptr},
              {"lowercase", lowercase}}},
            {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
            {"post_processor", surrounding("[CLS]", "[SEP]", added)},
            {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
            {"model",
             {{"type", "WordPiece"},
              {"unk_token", "[UNK]"},
              {"continuing_subword_prefix", "##"},
              {"max_input_chars_per_word", 100},
              {"vocab", vocab}}}};
}

/// The tokenizer that models of this name usually have.
inline Json usualTokenizer(const std::string& name)
{
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    return has("t5")                                            ? smallUnigram()
           : has("roberta") || has("camembert") || !has("bert") ? smallTokenizer()
                                                                : smallWordPiece();
}

/// A folder that goes away with the test, and what the tests put into it.
class ModelPlace
{
public:
    std::filesystem::path at(const std::string& name) const
    {
        return std::filesystem::path(m_folder.path().toStdString()) / name;
    }
    /// A fixture with a tokenizer, in a folder of its own.
    std::filesystem::path model(const std::string& name) const
    {
        namespace fs = std::filesystem;
        const auto folder = at(name);
        fs::copy(fixture(name), folder);
        fs::permissions(folder / "model.safetensors", fs::perms::owner_all);
        const Json tokenizer = usualTokenizer(name);
        writeText(folder / "tokenizer.json", tokenizer.dump());
        const auto kind = tokenizer["model"]["type"];
        writeText(
            folder / "tokenizer_config.json",
            kind == "WordPiece"
                ? R"({"pad_token":"[PAD]","unk_token":"[UNK]","cls_token":"[CLS]","sep_token":"[SEP]","mask_token":"[MASK]"})"
            : kind == "Unigram" ? R"({"eos_token":"</s>","pad_token":"<pad>","unk_token":"<unk>"})"
                                : R"({"bos_token":"<s>","eos_token":"</s>","pad_token":"<pad>"})");
        return folder;
    }

private:
    QTemporaryDir m_folder;
};

} // namespace fettle::testing
