// Writes the small random model of row C4: bench_toy FOLDER.

#include "toy_model.h"

#include <cstdio>

int main(int count, char** arguments)
{
    if (count != 2) {
        std::fprintf(stderr, "usage: bench_toy FOLDER\n");
        return 2;
    }
    if (const auto written = fettle::bench::writeToyModel(arguments[1]); !written) {
        std::fprintf(stderr, "%s\n", written.error().sentence().c_str());
        return 1;
    }
    return 0;
}
