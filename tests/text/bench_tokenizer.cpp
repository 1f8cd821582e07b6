#include "base/json.h"
#include "text/tokenizer.h"

#include <chrono>
#include <cstdlib>
#include <fmt/core.h>

/// Throughput of one tokenizer on one file: bench_tokenizer FOLDER FILE [ROUNDS]. The file is cut
/// into texts of about 4 kB at line ends, each encoded on its own. Prints MB/s of every round.
int main(int count, char** arguments)
{
    using namespace fettle;
    if (count < 3) {
        fmt::print(stderr, "bench_tokenizer FOLDER FILE [ROUNDS]\n");
        return 2;
    }
    const auto tokenizer = text::Tokenizer::load(arguments[1]);
    const auto bytes = readFile(arguments[2]);
    if (!tokenizer || !bytes) {
        fmt::print(stderr, "{}\n",
                   tokenizer ? bytes.error().sentence() : tokenizer.error().sentence());
        return 2;
    }
    std::vector<std::string_view> texts;
    for (std::string_view rest = *bytes; !rest.empty();) {
        auto end = rest.find('\n', std::min<std::size_t>(4000, rest.size()));
        end = end == std::string_view::npos ? rest.size() : end + 1;
        texts.push_back(rest.substr(0, end));
        rest.remove_prefix(end);
    }
    const int rounds = count > 3 ? std::atoi(arguments[3]) : 3;
    for (int round = 0; round < rounds; ++round) {
        const auto start = std::chrono::steady_clock::now();
        std::size_t tokens = 0;
        for (const std::string_view text : texts)
            tokens += (*tokenizer)->encode(text).size();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        fmt::print("{:.2f} MB/s, {} tokens\n",
                   static_cast<double>(bytes->size()) / 1e6 / seconds.count(), tokens);
        std::fflush(stdout);
    }
    return 0;
}
