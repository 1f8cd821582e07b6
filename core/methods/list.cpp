#include "methods/method.h"

namespace fettle::methods {

#define ADD(Name) std::unique_ptr<Method> make##Name();
#include "methods/list.inc"
#undef ADD

namespace {

std::vector<std::unique_ptr<Method>> allMethods()
{
    std::vector<std::unique_ptr<Method>> all;
#define ADD(Name) all.push_back(make##Name());
#include "methods/list.inc"
#undef ADD
    return all;
}

} // namespace

const std::vector<MethodSpec>& methodSpecs()
{
    static const std::vector<MethodSpec> specs = [] {
        std::vector<MethodSpec> out;
        for (const auto& method : allMethods())
            out.push_back(method->spec());
        return out;
    }();
    return specs;
}

Result<std::unique_ptr<Method>> makeMethod(const std::string& id)
{
    for (auto& method : allMethods()) {
        if (method->spec().id == id)
            return std::move(method);
    }
    return Error{ErrorCode::NotFound, "there is no method \"" + id + "\"", "setting method",
                 "List them with: fettle-cli recipe schema"};
}

} // namespace fettle::methods
