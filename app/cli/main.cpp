#include "base/log.h"
#include "cli/output.h"
#include "cli/score.h"
#include "cli/session.h"
#include "jobs/job.h"

#include <csignal>
#include <cstdio>
#include <string_view>

namespace {

using namespace fettle;
using namespace fettle::cli;

void addCommands(CLI::App& app, Session& session)
{
    app.description(
        "Fettle: fine-tune a small language model on your own rows, on your own machine.");
    app.set_version_flag("--version", "fettle-cli " FETTLE_VERSION);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    app.add_option(
        "--workspace", session.workspaceFolder,
        "Folder that holds everything (default: $FETTLE_WORKSPACE, else Fettle in your home)");
    app.add_flag("--json", session.json, "Results as JSON on stdout; words go to stderr");
    app.add_flag("--verbose", session.verbose, "Also say what goes on inside, on stderr");
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    app.require_subcommand(1);
    app.fallthrough(); // the global options may also stand behind the command
    addDoctor(app, session);
    addModel(app, session);
    addData(app, session);
    addTokens(app, session);
    addScore(app, session);
    addTrain(app, session);
    addRuns(app, session);
    addGenerate(app, session);
    addEvaluate(app, session);
    addExport(app, session);
    addRecipe(app, session);
    addSettings(app, session);
}

/// The innermost command that was named: its help is the one to point at.
std::string namedCommand(const CLI::App& app)
{
    std::string name = "fettle-cli";
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) {
        at = at->get_subcommands().front();
        name += " " + at->get_name();
    }
    return name;
}

/// The parser's complaint as one of our sentences.
Error usageError(const CLI::App& app, const CLI::ParseError& problem)
{
    std::string what = problem.what();
    const bool noCommand = dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr &&
                           what.find("ubcommand") != std::string::npos;
    const auto rest = app.remaining(true);
    if (!rest.empty() && (noCommand || dynamic_cast<const CLI::ExtrasError*>(&problem) != nullptr))
        what = fmt::format("there is no {} \"{}\"",
                           rest.front().starts_with('-') ? "option" : "command or argument",
                           rest.front());
    else if (noCommand)
        what = "a command is missing";
    for (auto newline = what.find('\n'); newline != std::string::npos; newline = what.find('\n'))
        what.replace(newline, 1, " ");
    return {ErrorCode::InvalidInput, what, namedCommand(app),
            "See: " + namedCommand(app) + " --help"};
}

bool wantsJson(int argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--json")
            return true;
    }
    return false;
}

int runCommand(const Session& session)
{
    const auto outcome = session.command();
    int code = outcome ? *outcome : report(outcome.error(), session.json);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
        code = report({ErrorCode::Io, "the results could not be written", "standard output",
                       "Make room on the disk, or check where the output goes"},
                      false);
    return code;
}

} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN); // a reader that goes away must not end a run
    Session session;
    CLI::App app;
    app.name("fettle-cli");
    addCommands(app, session);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& problem) {
        return report(usageError(app, problem), wantsJson(argc, argv));
    }
    setLogSink([&session](LogLevel level, std::string_view area, std::string_view line) {
        // Further lines are traces of calls, for --verbose only.
        if (level != LogLevel::Info || session.verbose)
            say(fmt::format("{}: {}", area,
                            session.verbose ? line : line.substr(0, line.find('\n'))));
    });
    try {
        return runCommand(session);
    } catch (const std::exception& problem) {
        if (jobs::meansOutOfMemory(problem))
            return report({ErrorCode::OutOfMemory, "there is not enough memory to begin this", "memory",
                           "Close other programs, then try again; what was saved is safe"},
                          session.json);
        // A rule inside the code was broken; jobs catch their own.
        return report({ErrorCode::Internal,
                       std::string("something went wrong inside the program: ") + problem.what(),
                       "", "Please report it with the command that you gave"},
                      session.json);
    }
}
