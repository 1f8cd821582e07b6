#include "cli/messages.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "cli/run_job.h"
#include "recipes/front_door.h"
#include "report/axis.h"

namespace fettle::cli {

namespace {

struct AskOptions
{
    std::vector<std::string> models;
    std::string prompt, question, messages;
    bool greedy = false;
    recipes::GenerateOptions how;
};

/// Writes answers while they come; with several models each under its name.
class AnswerPrinter
{
public:
    AnswerPrinter(const std::vector<Choice>& choices, bool quiet)
        : m_choices(choices)
        , m_quiet(quiet)
    {
    }

    void show(const jobs::Event& event)
    {
        const auto* piece = std::get_if<jobs::TextPiece>(&event);
        if (piece == nullptr) {
            endLine();
            m_progress.show(event);
            return;
        }
        if (m_quiet)
            return;
        wipeProgress();
        if (piece->stream != m_stream && m_choices.size() > 1) {
            endLine();
            print(fmt::format("{}── {}\n", m_stream < 0 ? "" : "\n",
                              m_choices[static_cast<std::size_t>(piece->stream)].title));
        }
        m_stream = piece->stream;
        m_open = true;
        print(piece->text);
        std::fflush(stdout);
    }
    void endLine()
    {
        if (std::exchange(m_open, false)) {
            print("\n");
            std::fflush(stdout);
        }
    }

private:
    const std::vector<Choice>& m_choices;
    bool m_quiet;
    std::int64_t m_stream = -1;
    bool m_open = false; // a line of an answer
    ProgressView m_progress;
};

void sayCounts(const Json& result, const std::vector<Choice>& choices)
{
    if (!result.contains("answers"))
        return;
    std::size_t i = 0;
    for (const auto& answer : result["answers"]) {
        const auto tokens = answer.value("tokens", std::int64_t{0});
        const double seconds = answer.value("seconds", 0.0);
        say(fmt::format("{}: {} in {} s, ended by {}, fingerprint {}", choices[i].title,
                        counted(tokens, "token"), report::shortNumber(seconds),
                        answer.value("stoppedBy", "end"), answer.value("fingerprint", "")));
        ++i;
    }
}

Result<std::shared_ptr<jobs::Job>> jobFor(const AskOptions& options,
                                          const std::vector<Choice>& choices,
                                          std::shared_ptr<store::Workspace> workspace)
{
    std::vector<std::string> models;
    for (const auto& choice : choices)
        models.push_back(choice.model);
    if (!options.prompt.empty())
        return recipes::makeContinueJob(workspace, models, options.prompt, options.how);
    if (options.question.empty() && options.messages.empty())
        return Error{ErrorCode::InvalidInput, "the text is empty", "--prompt or --question",
                     "Write at least one letter"};
    Conversation asked;
    if (options.messages.empty()) {
        asked.messages.push_back({{"role", "user"}, {"content", options.question}});
    } else {
        auto read = readConversation(options.messages);
        if (!read)
            return read.error();
        asked = std::move(*read);
    }
    return recipes::makeAnswerJob(workspace, models, asked.messages, options.how, asked.tools);
}

Outcome generate(Session& session, AskOptions options)
{
    if (options.greedy)
        options.how.temperature = 0;
    auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto choices = modelsOrRuns(**workspace, options.models);
    if (!choices)
        return choices.error();
    auto job = jobFor(options, *choices, *workspace);
    if (!job)
        return job.error();
    AnswerPrinter printer(*choices, session.json);
    const auto outcome =
        runJob(*job, [&printer](const jobs::Event& event) { printer.show(event); });
    printer.endLine();
    if (!outcome)
        return outcome.error();
    if (session.json)
        printJson(outcome->result);
    else
        sayCounts(outcome->result, *choices);
    return outcome->exit();
}

} // namespace

void addGenerate(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<AskOptions>();
    auto* command = addCommand(app, session, "generate", "Lets one or several models write",
                               [&session, options] { return generate(session, *options); });
    command
        ->add_option("models", options->models,
                     "Models or runs (run:12) that write one after the other")
        ->required();
    auto* what = command->add_option_group("what", "Exactly one of");
    what->add_option("--prompt", options->prompt, "A text that is continued as it stands");
    what->add_option("--question", options->question,
                     "A question, put into the model's conversation form");
    what->add_option("--messages", options->messages,
                     "A conversation: JSON list of {\"role\", \"content\"}");
    what->require_option(1);
    auto* greedy = command->add_flag("--greedy", options->greedy,
                                     "Always the likeliest token (this is the default)");
    auto& how = options->how;
    command->add_option("--max-new", how.maxNewTokens, "At most so many new tokens")
        ->capture_default_str()
        ->check(CLI::Range(1, 1'000'000));
    command
        ->add_option("--temperature", how.temperature, "Variation; 0: always the likeliest token")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 100.0))
        ->excludes(greedy);
    command->add_option("--top-k", how.topK, "Only the k likeliest tokens; 0: all")
        ->capture_default_str()
        ->check(CLI::Range(0, 10'000'000));
    command->add_option("--top-p", how.topP, "Only the likeliest tokens that make up this share")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0));
    command
        ->add_option("--weights", how.weights,
                     "How the original is held: float32, int8 or nf4; a run: as it was trained")
        ->check(CLI::IsMember({"float32", "int8", "nf4"}));
    command->add_option("--seed", how.seed, "The same number gives the same answer")
        ->capture_default_str();
    command
        ->add_option("--stop", how.stopTexts,
                     "Ends the answer before this text; as often as needed")
        ->allow_extra_args(false);
}

} // namespace fettle::cli
