#pragma once

#include "model/import/import.h"
#include "model/import/weight_writer.h"

#include <algorithm>

namespace fettle::model {

/// Counts what was written, and turns a wish to stop into an error that ends the work.
class Meter
{
public:
    Meter(const ImportProgress& progress, std::stop_token stop, std::uint64_t total)
        : m_progress(progress)
        , m_stop(std::move(stop))
        , m_total(total)
    {
    }
    /// Errors: Cancelled.
    Result<void> add(std::uint64_t bytes)
    {
        if (m_stop.stop_requested())
            return Error{ErrorCode::Cancelled, "this was stopped; nothing was kept", "", ""};
        m_done += bytes;
        if (m_progress)
            m_progress(std::min(m_done, m_total), m_total);
        return {};
    }
    /// The sink with everything counted that goes into it. Both must outlive what is given.
    PartSink counted(const PartSink& sink)
    {
        return [this, &sink](const void* data, std::uint64_t size) -> Result<void> {
            if (auto fine = add(size); !fine)
                return fine;
            return sink(data, size);
        };
    }

private:
    const ImportProgress& m_progress;
    std::stop_token m_stop;
    std::uint64_t m_done = 0, m_total;
};

} // namespace fettle::model
