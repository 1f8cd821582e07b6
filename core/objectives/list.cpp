#include "objectives/objective.h"

namespace fettle::objectives {

#define ADD(Name) std::unique_ptr<Objective> make##Name();
#include "objectives/list.inc"
#undef ADD

namespace {

std::vector<std::unique_ptr<Objective>> allObjectives()
{
    std::vector<std::unique_ptr<Objective>> all;
#define ADD(Name) all.push_back(make##Name());
#include "objectives/list.inc"
#undef ADD
    return all;
}

} // namespace

const std::vector<ObjectiveSpec>& objectiveSpecs()
{
    static const std::vector<ObjectiveSpec> specs = [] {
        std::vector<ObjectiveSpec> out;
        for (const auto& objective : allObjectives())
            out.push_back(objective->spec());
        return out;
    }();
    return specs;
}

Result<std::unique_ptr<Objective>> makeObjective(const std::string& id)
{
    for (auto& objective : allObjectives()) {
        if (objective->spec().id == id)
            return std::move(objective);
    }
    return Error{ErrorCode::NotFound, "there is no objective \"" + id + "\"", "setting objective",
                 "List them with: fettle-cli recipe schema"};
}

} // namespace fettle::objectives
