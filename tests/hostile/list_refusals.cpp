// Writes docs/refusals.md to standard output.
#include "hostile/planted.h"

#include <cstdio>

int main()
{
    const auto text = fettle::hostile::refusalsAsMarkdown();
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
}
