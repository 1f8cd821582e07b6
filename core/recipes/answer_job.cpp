#include "base/clock.h"
#include "generate/generator.h"
#include "recipes/front_door.h"
#include "recipes/loaded_model.h"
#include "tensor/torch_pch.h"

#include <fmt/format.h>

namespace fettle::recipes {

namespace {

/// Answers a conversation, or continues a text, with one model after the other.
class AnswerJob final : public jobs::Job
{
public:
    AnswerJob(std::shared_ptr<store::Workspace> workspace, std::vector<std::string> models,
              data::Example asked, std::string text, GenerateOptions options)
        : m_workspace(std::move(workspace)), m_models(std::move(models)), m_asked(std::move(asked))
        , m_text(std::move(text)), m_options(std::move(options))
    {
    }

    std::string title() const override { return "answer"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        Json answers = Json::array();
        for (std::size_t i = 0; i < m_models.size() && !context.stopRequested(); ++i) {
            context.emit(jobs::PhaseChanged{"load model", -1, m_models[i]});
            auto model = ModelShelf::onThisThread().get(*m_workspace, m_models[i], m_options.weights);
            if (!model)
                return at(model.error(), m_models[i]);
            auto answer = answerWith(**model, static_cast<std::int64_t>(i), context);
            if (!answer)
                return at(answer.error(), m_models[i]);
            answers.push_back(toJson(*answer));
        }
        Json result = {{"answers", std::move(answers)}};
        if (context.stopRequested())
            return jobs::JobEnd{jobs::Stopped{std::move(result)}};
        return jobs::JobEnd{jobs::Finished{std::move(result)}};
    }

private:
    Result<std::vector<text::TokenId>> promptFor(const LoadedModel& model) const
    {
        if (m_asked.messages.empty())
            return model.encoder.tokenizer->encode(m_text, {.addSpecialTokens = true, .parseSpecialTokens = false});
        return model.encoder.encodePrompt(m_asked);
    }

    Result<Answer> answerWith(LoadedModel& model, std::int64_t stream, jobs::JobContext& context)
    {
        auto prompt = promptFor(model);
        if (!prompt)
            return prompt.error();
        const auto limit = model.config.maxPositions;
        if (prompt->empty())
            return Error{ErrorCode::InvalidInput, "there is nothing to continue", "prompt", "Write a question"};
        if (limit > 0 && static_cast<std::int64_t>(prompt->size()) >= limit)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the question has {} word pieces, this model reads at most {}", prompt->size(), limit),
                         "prompt", "Shorten it"};
        generate::Settings settings;
        settings.maxNewTokens = m_options.maxNewTokens;
        if (limit > 0)
            settings.maxNewTokens = std::min(settings.maxNewTokens, limit - static_cast<std::int64_t>(prompt->size()));
        settings.temperature = m_options.temperature;
        settings.topK = m_options.topK, settings.topP = m_options.topP;
        settings.seed = m_options.seed;
        settings.stopTexts = m_options.stopTexts;
        settings.stopIds = model.stopIds();
        context.emit(jobs::PhaseChanged{"write", -1, m_models[static_cast<std::size_t>(stream)]});
        const Stopwatch watch;
        const auto written = generate::generate(
            *model.decoder, *model.encoder.tokenizer, {*prompt}, settings,
            {.piece = [&](std::size_t, const std::string& piece) { context.emit(jobs::TextPiece{stream, piece}); },
             .stop = [&] { return context.stopRequested(); }});
        return Answer{written[0].text, model.fingerprint, static_cast<std::int64_t>(prompt->size()),
                      static_cast<std::int64_t>(written[0].ids.size()), watch.seconds(), written[0].stoppedBy};
    }

    std::shared_ptr<store::Workspace> m_workspace;
    std::vector<std::string> m_models;
    data::Example m_asked; // without messages the text is continued
    std::string m_text;
    GenerateOptions m_options;
};

/// Log-probability of every token of a text after the first.
class ScoreJob final : public jobs::Job
{
public:
    ScoreJob(std::shared_ptr<store::Workspace> workspace, std::string model, std::string text)
        : m_workspace(std::move(workspace)), m_model(std::move(model)), m_text(std::move(text))
    {
    }

    std::string title() const override { return "score"; }

    Result<jobs::JobEnd> run(jobs::JobContext&) override
    {
        auto model = ModelShelf::onThisThread().get(*m_workspace, m_model);
        if (!model)
            return at(model.error(), m_model);
        if ((*model)->encoder.apart)
            return Error{ErrorCode::Unsupported,
                         "the model is an encoder-decoder: it answers a text and does not foretell the text itself", m_model,
                         "Score answers with an evaluation, or choose a decoder"};
        const auto ids = (*model)->encoder.tokenizer->encode(m_text);
        if (ids.size() < 2)
            return Error{ErrorCode::InvalidInput, "the text has fewer than two word pieces, so none can be scored",
                         "file", "Give a longer text"};
        const auto limit = (*model)->config.maxPositions;
        if (limit > 0 && static_cast<std::int64_t>(ids.size()) > limit)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the text has {} word pieces, this model reads at most {}", ids.size(), limit),
                         "file", "Cut it into shorter texts"};
        const at::NoGradGuard noGrad;
        model::PackedTokens tokens;
        tokens.add(ids);
        auto& decoder = *(*model)->decoder;
        const auto hidden = decoder.hidden(tokens);
        tensor::HeadLossInfo info;
        const std::vector<std::int64_t> labels(tokens.ids.begin() + 1, tokens.ids.end());
        decoder.loss(hidden.narrow(0, 0, tokens.size() - 1), labels, 1.0, info);
        Json values = Json::array();
        for (const double nll : info.nll)
            values.push_back(-nll);
        const double sum = -info.total();
        return jobs::JobEnd{jobs::Finished{{{"tokens", std::move(values)},
                                            {"sum", sum},
                                            {"mean", sum / static_cast<double>(info.nll.size())}}}};
    }

private:
    std::shared_ptr<store::Workspace> m_workspace;
    std::string m_model, m_text;
};

} // namespace

Json toJson(const Answer& answer)
{
    return {{"text", answer.text},     {"fingerprint", answer.fingerprint}, {"promptTokens", answer.promptTokens},
            {"tokens", answer.tokens}, {"seconds", answer.seconds},         {"stoppedBy", answer.stoppedBy}};
}

std::shared_ptr<jobs::Job> makeAnswerJob(std::shared_ptr<store::Workspace> workspace, std::vector<std::string> models,
                                         std::vector<OrderedJson> messages, GenerateOptions options,
                                         OrderedJson tools)
{
    data::Example asked;
    asked.messages = std::move(messages);
    asked.tools = std::move(tools);
    return std::make_shared<AnswerJob>(std::move(workspace), std::move(models), std::move(asked), std::string(),
                                       std::move(options));
}

std::shared_ptr<jobs::Job> makeContinueJob(std::shared_ptr<store::Workspace> workspace, std::vector<std::string> models,
                                           std::string text, GenerateOptions options)
{
    return std::make_shared<AnswerJob>(std::move(workspace), std::move(models), data::Example{}, std::move(text),
                                       std::move(options));
}

std::shared_ptr<jobs::Job> makeScoreJob(std::shared_ptr<store::Workspace> workspace, std::string model, std::string text)
{
    return std::make_shared<ScoreJob>(std::move(workspace), std::move(model), std::move(text));
}

} // namespace fettle::recipes
