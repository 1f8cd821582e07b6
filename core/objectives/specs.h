#pragma once

#include "base/param_spec.h"

#include <string>
#include <vector>

namespace fettle::objectives {

/// What people and files need to know about an objective; no LibTorch here.
struct ObjectiveSpec
{
    std::string id;        ///< "sft"
    std::string title;     ///< words on screen
    std::string help;
    std::string source;
    ParamList parameters;  ///< keys start with the id: "sft.lossOn"
};

/// All objectives in the order people see them.
const std::vector<ObjectiveSpec>& objectiveSpecs();

} // namespace fettle::objectives
