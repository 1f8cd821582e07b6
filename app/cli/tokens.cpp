#include "cli/messages.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/run_job.h"
#include "recipes/front_door.h"
#include "text/conversation.h"

#include <fmt/ranges.h>

namespace fettle::cli {

namespace {

constexpr std::uint64_t kMostBytes = 256u << 20; // of a text file

struct TokensOptions
{
    std::string model, text, file, messages, lossOn = "answers";
    bool special = false, parseSpecial = false;
};

/// A folder as it is; otherwise the folder of a model or of a run's model in the workspace.
Result<std::filesystem::path> tokenizerFolder(Session& session, const std::string& which)
{
    std::error_code ec;
    if (std::filesystem::is_directory(which, ec))
        return std::filesystem::path(which);
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto named = modelOrRun(**workspace, which);
    if (!named)
        return named.error();
    std::string model = named->model;
    if (model.starts_with("run:")) {
        const auto run = (*workspace)->run(model.substr(4));
        if (!run)
            return run.error();
        model = run->model;
    }
    const auto record = (*workspace)->model(model);
    if (!record)
        return record.error();
    return record->folder;
}

Result<text::LossOn> lossOnFrom(const std::string& name)
{
    if (name == "answers")
        return text::LossOn::Answers;
    if (name == "all")
        return text::LossOn::All;
    if (name == "last")
        return text::LossOn::LastAnswer;
    return Error{ErrorCode::InvalidInput,
                 fmt::format("\"{}\" says not which tokens are learned", name), "--loss-on",
                 "Use answers, all or last"};
}

Result<text::EncodedExample> encodeMessages(const text::Tokenizer& tokenizer,
                                            const std::filesystem::path& folder,
                                            const TokensOptions& options)
{
    const auto lossOn = lossOnFrom(options.lossOn);
    if (!lossOn)
        return lossOn.error();
    const auto conversation = readConversation(options.messages);
    if (!conversation)
        return conversation.error();
    const auto chatTemplate = text::ChatTemplate::load(folder);
    if (!chatTemplate)
        return chatTemplate.error();
    return text::encodeConversation(tokenizer, **chatTemplate, conversation->messages, *lossOn,
                                    text::toolsVariable(conversation->tools));
}

/// Running text: every token but the first is learned.
Result<text::EncodedExample> encodeText(const text::Tokenizer& tokenizer,
                                        const TokensOptions& options)
{
    std::string bytes = options.text;
    if (!options.file.empty()) {
        auto read = readFile(options.file, kMostBytes);
        if (!read)
            return read.error();
        bytes = std::move(*read);
    }
    text::EncodedExample encoded;
    encoded.ids = tokenizer.encode(bytes, {options.special, options.parseSpecial});
    encoded.trained.assign(encoded.ids.size(), 1);
    if (!encoded.trained.empty())
        encoded.trained.front() = 0;
    return encoded;
}

Outcome tokens(Session& session, const TokensOptions& options)
{
    const auto folder = tokenizerFolder(session, options.model);
    if (!folder)
        return folder.error();
    const auto tokenizer = text::Tokenizer::load(*folder);
    if (!tokenizer)
        return tokenizer.error();
    const auto encoded = options.messages.empty() ? encodeText(**tokenizer, options)
                                                  : encodeMessages(**tokenizer, *folder, options);
    if (!encoded)
        return encoded.error();
    if (session.json) {
        print(OrderedJson{{"ids", encoded->ids}, {"trained", encoded->trained}}.dump() + "\n");
        return kDone;
    }
    Table table({{"id", true}, {"learned"}, {"piece"}});
    for (std::size_t i = 0; i < encoded->ids.size(); ++i)
        table.add({std::to_string(encoded->ids[i]), encoded->trained[i] ? "yes" : "",
                   (*tokenizer)->tokenOf(encoded->ids[i])});
    print(table.text());
    say(fmt::format("{}, {} learned.",
                    counted(static_cast<std::int64_t>(encoded->ids.size()), "token"),
                    grouped(encoded->trainedCount())));
    return kDone;
}

} // namespace

void addTokens(CLI::App& app, Session& session)
{
    const auto options = std::make_shared<TokensOptions>();
    auto* command =
        addCommand(app, session, "tokens", "Shows the token ids of a text or conversation",
                   [&session, options] { return tokens(session, *options); });
    command
        ->add_option("model", options->model,
                     "Model or run of the workspace, or a folder with tokenizer files")
        ->required();
    auto* what = command->add_option_group("what", "Exactly one of");
    what->add_option("--text", options->text, "This text");
    what->add_option("--file", options->file, "The bytes of a file as they are");
    what->add_option("--messages", options->messages,
                     "A conversation: JSON list of {\"role\", \"content\"}");
    what->require_option(1);
    command->add_flag("--special", options->special,
                      "Add what the tokenizer puts around a text (begin and end marks)");
    command->add_flag("--parse-special", options->parseSpecial,
                      "Read special tokens written in the text as such, not as plain text");
    command
        ->add_option("--loss-on", options->lossOn,
                     "Which tokens of a conversation are learned: answers, all or last")
        ->capture_default_str();
}

} // namespace fettle::cli
