#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fettle::data {

using Names = std::vector<std::string_view>;

/// Whole column names, folded; the first ones are preferred. "Weak" names mean other things too and
/// count only when no strong name is there.
struct RoleNames
{
    std::string_view role;
    Names strong, weak;
};

/// The known names of each role.
const std::vector<RoleNames>& roleNames();
/// True when a whole column name is one that is known for some role, in one of several languages.
bool isKnownColumnName(const std::string& name);

} // namespace fettle::data
