#include "tensor/aligned_buffer.h"

#include <cstdlib>
#include <new>
#include <sys/mman.h>

namespace fettle::tensor {

void AlignedBuffer::Release::operator()(float* data) const { std::free(data); }

float* AlignedBuffer::reserve(std::int64_t count)
{
    if (count <= m_size)
        return m_data.get();
    constexpr std::size_t kLargePage = std::size_t{1} << 21;
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    const auto border = bytes >= 2 * kLargePage ? kLargePage : std::size_t{64};
    const auto whole = (bytes + border - 1) / border * border;
    m_data.reset(); // before the larger one is asked for
    m_size = 0;
    m_data.reset(static_cast<float*>(std::aligned_alloc(border, whole)));
    if (!m_data)
        throw std::bad_alloc();
    if (border == kLargePage)
        madvise(m_data.get(), whole, MADV_HUGEPAGE); // a hint: nothing is lost without it
    m_size = static_cast<std::int64_t>(whole / sizeof(float));
    return m_data.get();
}

} // namespace fettle::tensor
