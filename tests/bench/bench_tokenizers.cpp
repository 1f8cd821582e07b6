#include "base/json.h"
#include "text/tokenizer.h"

#include <ctime>
#include <fmt/core.h>
#include <fstream>
#include <iostream>

/// Processor time that one tokenizer takes for all lines of a corpus (one JSON string each), one thread, for
/// tests/oracles/bench_tokenizers.py, which runs the reference in turn:
/// bench_tokenizers FOLDER CORPUS. Every line on the standard input asks for one round, answered by
/// seconds and tokens.
int main(int count, char** arguments)
{
    using namespace fettle;
    if (count != 3) {
        fmt::print(stderr, "bench_tokenizers FOLDER CORPUS\n");
        return 2;
    }
    const auto tokenizer = text::Tokenizer::load(arguments[1]);
    if (!tokenizer) {
        fmt::print(stderr, "{}\n", tokenizer.error().sentence());
        return 2;
    }
    std::vector<std::string> texts;
    std::ifstream corpus(arguments[2]);
    for (std::string line; std::getline(corpus, line);)
        texts.push_back(Json::parse(line).get<std::string>());
    for (std::string command; std::getline(std::cin, command);) {
        const std::clock_t begin = std::clock();
        std::size_t tokens = 0;
        for (const std::string& text : texts)
            tokens += (*tokenizer)->encode(text).size();
        const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        fmt::print("{} {}\n", seconds, tokens);
        std::fflush(stdout);
    }
    return 0;
}
