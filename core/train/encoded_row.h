#pragma once

#include <cstdint>
#include <vector>

namespace fettle::train {

/// One example as the model reads it.
struct EncodedRow
{
    std::int64_t row = 0;                ///< id in the dataset
    std::vector<std::int32_t> ids;
    std::vector<std::uint8_t> trained;   ///< same length; 1: learned
};

} // namespace fettle::train
