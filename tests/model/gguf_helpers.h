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

/// A byte-level tokenizer for the fixtures' 48 rows; three rows stay without a token.
inline Json smallTokenizer()
{
    Json vocab = Json::object(), added = Json::array();
    for (const char* token : {"<pad>", "<s>", "</s>"}) {
        const auto id = vocab.size();
        vocab[token] = id;
        added.push_back({{"id", id},
                         {"content", token},
                         {"special", true},
                         {"normalized", false},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false}});
    }
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
        writeText(folder / "tokenizer.json", smallTokenizer().dump());
        writeText(folder / "tokenizer_config.json",
                  R"({"bos_token":"<s>","eos_token":"</s>","pad_token":"<pad>"})");
        return folder;
    }

private:
    QTemporaryDir m_folder;
};

} // namespace fettle::testing
