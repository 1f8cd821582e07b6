#pragma once

#include <cstdint>

namespace fettle::tensor {

/// Scratch floats of the running thread; each call gives further ones until the owner goes away. Owners go in the
/// opposite order of their coming.
class Scratch
{
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    float* take(std::int64_t count);

private:
    std::int64_t m_block, m_used; ///< where the thread's memory was when the owner came
};

} // namespace fettle::tensor
