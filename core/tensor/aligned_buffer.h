#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fettle::tensor {

/// Large memory is a mapping of its own, which the system gets back at once.
struct ReleaseFloats
{
    void* mapping = nullptr;
    std::size_t bytes = 0;
    void operator()(float* data) const;
};

/// Floats that begin on a border of 64 bytes, in large pages where the system gives them. What they
/// hold at first is undefined.
class AlignedBuffer
{
public:
    AlignedBuffer() = default;
    /// Errors: std::bad_alloc.
    explicit AlignedBuffer(std::int64_t count) { reserve(count); }

    /// At least `count` floats; when it has to grow, what it held is lost.
    float* reserve(std::int64_t count);
    float* data() const { return m_data.get(); }
    std::int64_t size() const { return m_size; }

private:
    std::unique_ptr<float, ReleaseFloats> m_data;
    std::int64_t m_size = 0;
};

} // namespace fettle::tensor
