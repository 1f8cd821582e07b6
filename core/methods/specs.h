#pragma once

#include "base/param_spec.h"

#include <string>
#include <vector>

namespace fettle::methods {

/// What people and files need to know about a method; no LibTorch here.
struct MethodSpec
{
    std::string id;             ///< "lora", as in files
    std::string title;          ///< words on screen
    std::string help;           ///< one sentence
    std::string source;         ///< paper
    ParamList parameters;       ///< keys start with the id: "lora.rank"
    double learningRate = 0;    ///< recommended start for AdamW
    bool savesAdapter = false;  ///< checkpoints hold an adapter, not the whole model
    bool canMerge = true;
};

/// All methods in the order people see them.
const std::vector<MethodSpec>& methodSpecs();

} // namespace fettle::methods
