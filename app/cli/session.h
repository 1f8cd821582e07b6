#pragma once

#include "base/result.h"
#include "store/workspace.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace fettle::cli {

/// Exit code of a command, or why it failed.
using Outcome = Result<int>;

constexpr int kDone = 0;
constexpr int kInterrupted = 130;

/// What all commands share: the global options and the command that was chosen.
class Session
{
public:
    bool json = false; ///< --json: results on stdout as JSON
    bool verbose = false;
    std::string workspaceFolder; ///< --workspace; empty: see folder()
    std::function<Outcome()> command;

    /// --workspace, else $FETTLE_WORKSPACE, else ~/Fettle.
    std::filesystem::path folder() const;
    /// Opens the workspace once; makes it when it is not there.
    Result<std::shared_ptr<store::Workspace>> workspace();

private:
    std::shared_ptr<store::Workspace> m_workspace;
};

/// A command of the list: parsing it sets what runs afterwards. `run` gets a copy of nothing: it
/// captures its options by shared pointer.
CLI::App* addCommand(CLI::App& parent, Session& session, const std::string& name,
                     const std::string& help, std::function<Outcome()> run);

// One per command group, each in its own file.
void addDoctor(CLI::App& app, Session& session);
void addModel(CLI::App& app, Session& session);
void addData(CLI::App& app, Session& session);
void addTokens(CLI::App& app, Session& session);
void addTrain(CLI::App& app, Session& session);
void addRuns(CLI::App& app, Session& session);
void addGenerate(CLI::App& app, Session& session);
void addEvaluate(CLI::App& app, Session& session);
void addExport(CLI::App& app, Session& session);
void addRecipe(CLI::App& app, Session& session);
void addSettings(CLI::App& app, Session& session);

} // namespace fettle::cli
