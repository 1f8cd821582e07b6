#pragma once

#include <cstddef>

namespace fettle::text {

/// Where something lies in a text: [begin, end). In bytes where nothing else is said.
struct Range
{
    std::size_t begin = 0, end = 0;

    bool operator==(const Range&) const = default;
};

} // namespace fettle::text
