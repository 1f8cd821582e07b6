#include "cli/score.h"

#include "cli/messages.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/run_job.h"
#include "recipes/front_door.h"
#include "recipes/score_answers.h"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace fettle::cli {

namespace {

constexpr std::uint64_t kMostBytes = 256u << 20; // of a text file

struct ScoreOptions
{
    std::string model, file, text, question, messages, candidates;
};

/// The strings of a JSON list (a file that ends in .json), or one a line; empty lines are left out.
Result<std::vector<std::string>> readCandidates(const std::filesystem::path& path)
{
    const auto read = readFile(path, kMostBytes);
    if (!read)
        return read.error();
    std::vector<std::string> candidates;
    if (path.extension() == ".json") {
        const auto json = Json::parse(*read, nullptr, false);
        const bool fine = json.is_array() && std::ranges::all_of(json, [](const Json& each) {
                              return each.is_string() && !each.get<std::string>().empty();
                          });
        if (!fine)
            return Error{ErrorCode::InvalidInput, "the file is not a JSON list of texts",
                         path.filename().string(), "Write [\"one answer\", \"another\"]"};
        return json.get<std::vector<std::string>>();
    }
    std::istringstream lines(*read);
    for (std::string line; std::getline(lines, line);) {
        if (line.ends_with('\r'))
            line.pop_back();
        if (!line.empty())
            candidates.push_back(line);
    }
    if (candidates.empty())
        return Error{ErrorCode::InvalidInput, "the file holds no answer", path.filename().string(),
                     "Write one answer a line"};
    return candidates;
}

std::string textOf(const ScoreOptions& options, Result<std::string>& read)
{
    if (options.file.empty())
        return options.text;
    read = readFile(options.file, kMostBytes);
    return read ? *read : std::string();
}

void printText(const Json& result)
{
    printLine(fmt::format(
        "{} scored, log-probability {:.4f} altogether, {:.4f} a token.",
        counted(static_cast<std::int64_t>(result["tokens"].size()), "token"),
        result.value("sum", 0.0), result.value("mean", 0.0)));
}

/// The likeliest answer first.
void printCandidates(const Json& result)
{
    const auto& candidates = result["candidates"];
    std::vector<std::size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return candidates[i]["rank"].get<int>(); });
    Table table({{"rank", true},
                 {"log-probability", true},
                 {"a token", true},
                 {"tokens", true},
                 {"share", true},
                 {"answer"}});
    for (const auto i : order) {
        const auto& each = candidates[i];
        auto text = each["text"].get<std::string>();
        std::ranges::replace(text, '\n', ' ');
        table.add({std::to_string(each["rank"].get<int>()),
                   fmt::format("{:.4f}", each["logProbability"].get<double>()),
                   fmt::format("{:.4f}", each["mean"].get<double>()),
                   grouped(each["tokens"].get<std::int64_t>()),
                   fmt::format("{:.1f} %", 100 * each["share"].get<double>()), text});
    }
    print(table.text());
    say(fmt::format("{} behind a question of {}, {:.2f} s.",
                    counted(static_cast<std::int64_t>(order.size()), "answer"),
                    counted(result.value("promptTokens", std::int64_t{0}), "token"),
                    result.value("seconds", 0.0)));
}

Result<std::shared_ptr<jobs::Job>> jobFor(const ScoreOptions& options, const std::string& model,
                                          std::shared_ptr<store::Workspace> workspace)
{
    const bool asked = !options.question.empty() || !options.messages.empty();
    if (asked != !options.candidates.empty())
        return Error{ErrorCode::InvalidInput,
                     asked ? "no answers to score are given"
                           : "answers are scored behind a question, and none is given",
                     asked ? "--candidates" : "--question",
                     asked ? "Name a file with one answer a line" : "Give --question or --messages"};
    if (!asked) {
        Result<std::string> read = std::string();
        const auto text = textOf(options, read);
        if (!read)
            return read.error();
        return recipes::makeScoreJob(std::move(workspace), model, text);
    }
    auto candidates = readCandidates(options.candidates);
    if (!candidates)
        return candidates.error();
    Conversation conversation;
    if (options.messages.empty()) {
        conversation.messages.push_back({{"role", "user"}, {"content", options.question}});
    } else {
        auto read = readConversation(options.messages);
        if (!read)
            return read.error();
        conversation = std::move(*read);
    }
    return recipes::makeScoreAnswersJob(std::move(workspace), model, conversation.messages,
                                        conversation.tools, std::move(*candidates));
}

Outcome score(Session& session, const ScoreOptions& options)
{
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto model = modelOrRun(**workspace, options.model);
    if (!model)
        return model.error();
    const auto job = jobFor(options, model->model, *workspace);
    if (!job)
        return job.error();
    const auto outcome = runJob(*job);
    if (!outcome)
        return outcome.error();
    if (session.json)
        printJson(outcome->result);
    else if (!outcome->stopped && outcome->result.contains("candidates"))
        printCandidates(outcome->result);
    else if (!outcome->stopped)
        printText(outcome->result);
    return outcome->exit();
}

} // namespace

void addScore(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<ScoreOptions>();
    auto* command =
        addCommand(app, session, "score",
                   "Log-probability of a text token by token, or of several answers to a question",
                   [&session, options] { return score(session, *options); });
    command->add_option("model", options->model, "Model or run of the workspace")->required();
    auto* source = command->add_option_group("source", "Exactly one of");
    source->add_option("--file", options->file, "The bytes of a file as they are");
    source->add_option("--text", options->text, "This text");
    source->add_option("--question", options->question,
                       "A question, put into the model's conversation form");
    source->add_option("--messages", options->messages,
                       "A conversation: JSON list of {\"role\", \"content\"}");
    source->require_option(1);
    command->add_option("--candidates", options->candidates,
                        "Answers to the question, one a line, or a .json list of texts; each is "
                        "scored whole, with the mark that ends it");
}

} // namespace fettle::cli
