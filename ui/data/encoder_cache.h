#pragma once

#include "recipes/encode.h"
#include "store/workspace.h"

#include <map>
#include <memory>
#include <mutex>

namespace fettle::ui {

/// Word pieces and conversation form of models, loaded once. Any thread may ask; loading blocks, so
/// the window asks from the pool.
class EncoderCache
{
public:
    /// The encoder of a model for rows of this dataset. Errors: NotFound, InvalidInput.
    Result<std::shared_ptr<const recipes::Encoder>>
    encoder(store::Workspace& workspace, const std::string& model, store::Dataset* dataset);

private:
    std::mutex m_mutex;
    std::map<std::string, std::shared_ptr<const recipes::Encoder>> m_byModel; // guarded by m_mutex
};

} // namespace fettle::ui
