#include "base/json.h"
#include "text/tokenizer.h"

#include <fmt/core.h>
#include <fstream>

/// Ids, character offsets and decoded text of every line of a corpus (one JSON string each), for
/// tests/oracles/compare_corpus.py: encode_corpus FOLDER CORPUS. A line is encoded with special
/// tokens parsed and added; both ways of encoding must agree.
int main(int count, char** arguments)
{
    using namespace fettle;
    if (count != 3) {
        fmt::print(stderr, "encode_corpus FOLDER CORPUS\n");
        return 2;
    }
    const auto tokenizer = text::Tokenizer::load(arguments[1]);
    if (!tokenizer) {
        fmt::print(stderr, "{}\n", tokenizer.error().sentence());
        return 2;
    }
    std::ifstream corpus(arguments[2]);
    int row = 0;
    for (std::string line; std::getline(corpus, line); ++row) {
        const auto text = Json::parse(line).get<std::string>();
        const text::EncodeOptions options{.addSpecialTokens = true, .parseSpecialTokens = true};
        const auto encoding = (*tokenizer)->encodeWithOffsets(text, options);
        if (encoding.ids != (*tokenizer)->encode(text, options)) {
            fmt::print(stderr, "row {}: the two ways of encoding differ\n", row);
            return 1;
        }
        Json offsets = Json::array();
        for (const text::Range& range : encoding.characters) {
            offsets.push_back(range.begin);
            offsets.push_back(range.end);
        }
        const Json out = {{"ids", encoding.ids},
                          {"offsets", offsets},
                          {"text", (*tokenizer)->decode(encoding.ids, false)}};
        fmt::print("{}\n", out.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    return 0;
}
