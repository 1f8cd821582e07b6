// make_seeds TARGET FOLDER: writes the target's seeds, one file each, named by their content.
// make_seeds TARGET --max-size: prints the size up to which the target's inputs are worth a try.
#include "base/sha256.h"
#include "fuzz/fuzz_target.h"

#include <cstdio>
#include <filesystem>
#include <fstream>

int main(int count, char** words)
{
    const bool known = count == 3 && fettle::fuzz::findTarget(words[1]);
    if (!known) {
        std::fprintf(stderr, "usage: make_seeds TARGET FOLDER\n");
        return 2;
    }
    if (std::string_view(words[2]) == "--max-size") {
        std::printf("%zu\n", fettle::fuzz::findTarget(words[1])->maxSize);
        return 0;
    }
    std::filesystem::create_directories(words[2]);
    for (const auto& seed : fettle::fuzz::seedsOf(words[1])) {
        const auto name = fettle::sha256(seed).substr(0, 16);
        std::ofstream(std::filesystem::path(words[2]) / name, std::ios::binary) << seed;
    }
    return 0;
}
