// Joins one target, named by FETTLE_FUZZ_TARGET when this file is compiled, to libFuzzer.
#include "fuzz/fuzz_target.h"

#include <cstring>

using namespace fettle::fuzz;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t maxSize);

namespace {

const Target& target()
{
    static const Target* const found = findTarget(FETTLE_FUZZ_TARGET);
    return *found;
}

std::string changed(std::string part, std::size_t maxSize)
{
    const std::size_t size = part.size();
    part.resize(std::max<std::size_t>(maxSize, size));
    part.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(part.data()), size, part.size()));
    return part;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    target().run({reinterpret_cast<const char*>(data), size});
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t maxSize, unsigned seed)
{
    // Every fourth change is of raw bytes: lies about lengths belong to the attacks too.
    if (!target().mutate || seed % 4 == 0)
        return LLVMFuzzerMutate(data, size, maxSize);
    const std::string input(reinterpret_cast<const char*>(data), size);
    const std::string out = target().mutate(input, maxSize, seed / 4, changed);
    if (out.empty() || out.size() > maxSize)
        return LLVMFuzzerMutate(data, size, maxSize);
    std::memcpy(data, out.data(), out.size());
    return out.size();
}
