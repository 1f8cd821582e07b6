#include "tensor/aligned_buffer.h"

#include <cstdlib>
#include <new>
#include <sys/mman.h>

namespace fettle::tensor {

void ReleaseFloats::operator()(float* data) const
{
    if (mapping)
        munmap(mapping, bytes);
    else
        std::free(data);
}

float* AlignedBuffer::reserve(std::int64_t count)
{
    if (count <= m_size)
        return m_data.get();
    constexpr std::size_t kLargePage = std::size_t{1} << 21, kBorder = 64;
    const auto bytes =
        (static_cast<std::size_t>(count) * sizeof(float) + kBorder - 1) / kBorder * kBorder;
    m_data.reset(); // before the larger one is asked for
    m_size = 0;
    if (bytes < 2 * kLargePage) {
        m_data = {static_cast<float*>(std::aligned_alloc(kBorder, bytes)), ReleaseFloats{}};
        if (!m_data)
            throw std::bad_alloc();
    } else {
        const auto whole = bytes + kLargePage; // room to begin on the border of a large page
        void* mapping =
            mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapping == MAP_FAILED)
            throw std::bad_alloc();
        const auto address = reinterpret_cast<std::uintptr_t>(mapping);
        const auto begin = (address + kLargePage - 1) / kLargePage * kLargePage;
        madvise(reinterpret_cast<void*>(begin), bytes,
                MADV_HUGEPAGE); // a hint: nothing is lost without it
        m_data = {reinterpret_cast<float*>(begin), ReleaseFloats{mapping, whole}};
    }
    m_size = static_cast<std::int64_t>(bytes / sizeof(float));
    return m_data.get();
}

} // namespace fettle::tensor
