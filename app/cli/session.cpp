#include "cli/session.h"

#include <cstdlib>

namespace fettle::cli {

std::filesystem::path Session::folder() const
{
    if (!workspaceFolder.empty())
        return workspaceFolder;
    if (const char* stated = std::getenv("FETTLE_WORKSPACE"); stated != nullptr && *stated != '\0')
        return stated;
    const char* home = std::getenv("HOME");
    return std::filesystem::path(home != nullptr ? home : ".") / "Fettle";
}

Result<std::shared_ptr<store::Workspace>> Session::workspace()
{
    if (m_workspace)
        return m_workspace;
    auto opened = store::Workspace::open(folder());
    if (!opened)
        return opened.error();
    // A run whose process died must not look as if it went on.
    if (auto marked = (*opened)->markInterrupted(); !marked)
        return marked.error();
    m_workspace = *opened;
    return m_workspace;
}

CLI::App* addCommand(CLI::App& parent, Session& session, const std::string& name,
                     const std::string& help, std::function<Outcome()> run)
{
    auto* command = parent.add_subcommand(name, help);
    command->callback([&session, run = std::move(run)] { session.command = run; });
    return command;
}

} // namespace fettle::cli
