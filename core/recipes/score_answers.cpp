#include "recipes/score_answers.h"

#include "base/clock.h"
#include "generate/score.h"
#include "recipes/loaded_model.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::recipes {

namespace {

using Tokens = std::vector<std::int32_t>;

/// Answers as ids behind the tokens that all conversations share.
struct Task
{
    Tokens prompt;
    std::vector<Tokens> continuations;
    std::vector<std::vector<std::uint8_t>> counted; ///< 1: a token of the answer
};

class ScoreAnswersJob final : public jobs::Job
{
public:
    ScoreAnswersJob(std::shared_ptr<store::Workspace> workspace, std::string model,
                    data::Example asked, std::vector<std::string> candidates)
        : m_workspace(std::move(workspace))
        , m_model(std::move(model))
        , m_asked(std::move(asked))
        , m_candidates(std::move(candidates))
    {
    }

    std::string title() const override { return "score answers"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        context.emit(jobs::PhaseChanged{"load model", -1, m_model});
        auto model = ModelShelf::onThisThread().get(*m_workspace, m_model);
        if (!model)
            return at(model.error(), m_model);
        const auto task = taskFor(**model);
        if (!task)
            return at(task.error(), m_model);
        context.emit(jobs::PhaseChanged{"score", -1, m_model});
        const Stopwatch watch;
        const auto scores = generate::scoreContinuations(
            *(*model)->decoder, task->prompt, task->continuations, 2048,
            [&] { return context.stopRequested(); });
        if (context.stopRequested())
            return jobs::JobEnd{jobs::Stopped{Json::object()}};
        return jobs::JobEnd{jobs::Finished{
            {{"candidates", ranked(*task, scores)},
             {"promptTokens", task->prompt.size()},
             {"fingerprint", (*model)->fingerprint},
             {"seconds", watch.seconds()}}}};
    }

private:
    Result<Task> taskFor(const LoadedModel& model) const
    {
        std::vector<text::EncodedExample> encoded;
        for (std::size_t i = 0; i < m_candidates.size(); ++i) {
            auto example = m_asked;
            example.messages.push_back({{"role", "assistant"}, {"content", m_candidates[i]}});
            auto one = model.encoder.encode(example, text::LossOn::LastAnswer);
            if (!one)
                return one.error();
            // What a form writes behind the end mark is no part of the answer.
            while (!one->ids.empty() && !one->trained.back())
                one->ids.pop_back(), one->trained.pop_back();
            const auto limit = model.config.maxPositions;
            if (one->ids.empty() || (limit > 0 && static_cast<std::int64_t>(one->ids.size()) > limit))
                return Error{ErrorCode::InvalidInput,
                             one->ids.empty()
                                 ? std::string("the answer has no word pieces")
                                 : fmt::format("question and answer have {} word pieces, this model "
                                               "reads at most {}",
                                               one->ids.size(), limit),
                             fmt::format("answer {}", i + 1), "Shorten it or leave it out"};
            encoded.push_back(std::move(*one));
        }
        return sharedOf(encoded);
    }

    /// Cut behind the tokens that all have in common before their answers.
    static Task sharedOf(const std::vector<text::EncodedExample>& encoded)
    {
        auto common = encoded[0].ids.size();
        for (const auto& one : encoded) {
            const auto answer = std::ranges::find(one.trained, 1) - one.trained.begin();
            const auto limit = std::min(common, static_cast<std::size_t>(answer));
            common = 0;
            while (common < limit && one.ids[common] == encoded[0].ids[common])
                ++common;
        }
        const auto cut = static_cast<std::ptrdiff_t>(common);
        Task task;
        task.prompt.assign(encoded[0].ids.begin(), encoded[0].ids.begin() + cut);
        for (const auto& one : encoded) {
            task.continuations.emplace_back(one.ids.begin() + cut, one.ids.end());
            task.counted.emplace_back(one.trained.begin() + cut, one.trained.end());
        }
        return task;
    }

    Json ranked(const Task& task, const std::vector<generate::ContinuationScore>& scores) const
    {
        std::vector<generate::ContinuationScore> answers(scores.size());
        std::vector<double> sums;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            for (std::size_t t = 0; t < task.counted[i].size(); ++t) {
                if (task.counted[i][t])
                    answers[i].logProbabilities.push_back(scores[i].logProbabilities[t]);
            }
            sums.push_back(answers[i].sum());
        }
        const double top = std::ranges::max(sums);
        double total = 0;
        for (const double sum : sums)
            total += std::exp(sum - top);
        Json list = Json::array();
        for (std::size_t i = 0; i < sums.size(); ++i)
            list.push_back(
                {{"text", m_candidates[i]},
                 {"tokens", answers[i].logProbabilities.size()},
                 {"logProbability", sums[i]},
                 {"mean", answers[i].mean()},
                 {"rank", 1 + std::ranges::count_if(sums, [&](double s) { return s > sums[i]; })},
                 {"share", std::exp(sums[i] - top) / total},
                 {"logProbabilities", answers[i].logProbabilities}});
        return list;
    }

    std::shared_ptr<store::Workspace> m_workspace;
    std::string m_model;
    data::Example m_asked;
    std::vector<std::string> m_candidates;
};

} // namespace

std::shared_ptr<jobs::Job> makeScoreAnswersJob(std::shared_ptr<store::Workspace> workspace,
                                               std::string model, std::vector<OrderedJson> messages,
                                               OrderedJson tools,
                                               std::vector<std::string> candidates)
{
    data::Example asked;
    asked.messages = std::move(messages);
    asked.tools = std::move(tools);
    return std::make_shared<ScoreAnswersJob>(std::move(workspace), std::move(model),
                                             std::move(asked), std::move(candidates));
}

} // namespace fettle::recipes
