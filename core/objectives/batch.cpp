#include "objectives/objective.h"

#include <algorithm>
#include <numeric>

namespace fettle::objectives {

void Batch::add(std::span<const std::int32_t> ids, std::span<const std::uint8_t> isTrained, std::int64_t row)
{
    const auto first = std::ranges::find(isTrained.subspan(ids.empty() ? 0 : 1), 1); // never the first token
    const bool any = first != isTrained.end();
    tokens.add(ids, any ? first - isTrained.begin() : -1);
    for (std::size_t i = 0; i < ids.size(); ++i)
        trained.push_back(i > 0 ? isTrained[i] : 0);
    rows.push_back(row);
}

std::int64_t Batch::trainedCount() const { return std::accumulate(trained.begin(), trained.end(), std::int64_t{0}); }

std::vector<std::int64_t> Batch::places() const
{
    std::vector<std::int64_t> places;
    for (std::size_t d = 0; d < rows.size(); ++d) {
        for (auto t = tokens.offsets[d]; t < tokens.offsets[d + 1]; ++t)
            places.push_back(rows[d] << 21 | (t - tokens.offsets[d]));
    }
    return places;
}

} // namespace fettle::objectives
