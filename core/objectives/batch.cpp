#include "objectives/objective.h"

#include <numeric>

namespace fettle::objectives {

void Batch::add(std::span<const std::int32_t> ids, std::span<const std::uint8_t> isTrained, std::int64_t row)
{
    tokens.add(ids);
    for (std::size_t i = 0; i < ids.size(); ++i)
        trained.push_back(i > 0 ? isTrained[i] : 0);
    rows.push_back(row);
}

std::int64_t Batch::trainedCount() const { return std::accumulate(trained.begin(), trained.end(), std::int64_t{0}); }

} // namespace fettle::objectives
