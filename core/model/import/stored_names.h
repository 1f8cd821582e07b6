#pragma once

#include "model/import/model_config.h"

#include <functional>

namespace fettle::model {

/// Under which names files may hold the weight `name`: as published, without the family's prefix,
/// as old versions called it, or as another use of the same table.
std::vector<std::string> storedNames(const ModelConfig& config, const std::string& name);

/// What a set of weight files can be asked, by published names.
struct StoredWeights
{
    /// nullptr when there is no such weight.
    std::function<const std::vector<std::int64_t>*(const std::string& name)> shapeOf;
    /// Whether two stored weights hold the same bytes.
    std::function<bool(const std::string& a, const std::string& b)> same;
};

/// Puts into `config` what only the weights tell: whether the head is the embedding table, and
/// which heads an encoder has. Gives what a person should know, one sentence each.
std::vector<std::string> completeFromWeights(ModelConfig& config, const StoredWeights& stored);

} // namespace fettle::model
