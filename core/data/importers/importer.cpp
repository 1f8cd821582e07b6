#include "data/importers/importer.h"

namespace fettle::data {

#define ADD(NAME) std::unique_ptr<const Importer> make##NAME();
#include "data/importers/list.inc"
#undef ADD

const std::vector<std::unique_ptr<const Importer>>& importers()
{
    static const auto list = [] {
        std::vector<std::unique_ptr<const Importer>> all;
#define ADD(NAME) all.push_back(make##NAME());
#include "data/importers/list.inc"
#undef ADD
        return all;
    }();
    return list;
}

} // namespace fettle::data
