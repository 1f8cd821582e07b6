#include "tensor/scratch.h"

#include "tensor/aligned_buffer.h"

#include <algorithm>
#include <vector>

namespace fettle::tensor {

namespace {

constexpr std::int64_t kBlock = 1 << 20; ///< floats: enough for large pages

struct ThreadScratch
{
    std::vector<AlignedBuffer> blocks;
    std::int64_t block = 0, used = 0; ///< floats that are taken of this block; those behind it are free
};
thread_local ThreadScratch threadScratch;

} // namespace

Scratch::Scratch()
    : m_block(threadScratch.block)
    , m_used(threadScratch.used)
{
}

Scratch::~Scratch() { threadScratch.block = m_block, threadScratch.used = m_used; }

float* Scratch::take(std::int64_t count)
{
    auto& [blocks, block, used] = threadScratch;
    count = (count + 15) / 16 * 16; // the next one begins on a border of 64 bytes
    while (block < std::ssize(blocks) && used + count > blocks[static_cast<std::size_t>(block)].size())
        ++block, used = 0;
    if (block == std::ssize(blocks))
        blocks.emplace_back(std::max(count, kBlock));
    used += count;
    return blocks[static_cast<std::size_t>(block)].data() + used - count;
}

} // namespace fettle::tensor
