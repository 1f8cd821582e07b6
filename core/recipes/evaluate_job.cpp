#include "base/atomic_file.h"
#include "base/clock.h"
#include "eval/score.h"
#include "generate/generator.h"
#include "objectives/objective.h"
#include "recipes/front_door.h"
#include "recipes/loaded_model.h"
#include "recipes/run_setup.h"
#include "tensor/torch_pch.h"
#include "train/trainer.h"

#include <fmt/format.h>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kTokensTogether = 2048;

/// Loss and answers of one model on one split of a dataset.
class EvaluateJob final : public jobs::Job
{
public:
    EvaluateJob(std::shared_ptr<store::Workspace> workspace, EvaluatePlan plan)
        : m_workspace(std::move(workspace)), m_plan(std::move(plan))
    {
    }

    std::string title() const override { return "evaluate " + m_plan.model; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        context.emit(jobs::PhaseChanged{"load model", -1, m_plan.model});
        auto model = ModelShelf::onThisThread().get(*m_workspace, m_plan.model, m_plan.weights);
        if (!model)
            return at(model.error(), m_plan.model);
        auto rows = readRows(**model);
        if (!rows)
            return rows.error();
        if (auto scored = measureLoss(**model, *rows, context); !scored)
            return scored.error();
        if (m_plan.answers && !context.stopRequested())
            writeAnswers(**model, *rows, context);
        if (context.stopRequested())
            return jobs::JobEnd{jobs::Stopped{}};
        return finish(**model, rows->front().example.kind);
    }

private:
    Result<std::vector<store::DatasetRow>> readRows(LoadedModel& model)
    {
        auto dataset = m_workspace->dataset(m_plan.dataset);
        if (!dataset)
            return dataset.error();
        auto version = (*dataset)->snapshot();
        if (!version)
            return version.error();
        auto all = (*dataset)->rowsOf(version->number, std::nullopt);
        if (!all)
            return all.error();
        addDatasetFacts(model.encoder, **dataset, *all);
        m_version = *version;
        std::vector<store::DatasetRow> rows;
        for (auto& row : *all) {
            if (row.split == m_plan.split && (m_plan.limit == 0 || static_cast<std::int64_t>(rows.size()) < m_plan.limit))
                rows.push_back(std::move(row));
        }
        if (rows.empty())
            return Error{ErrorCode::InvalidInput, "there are no " + data::toString(m_plan.split) + " rows to score",
                         "dataset " + m_plan.dataset, "Choose another split, or split the rows again"};
        return rows;
    }

    /// Fills m_predictions with one entry per row that the model can read.
    Result<void> measureLoss(LoadedModel& model, std::vector<store::DatasetRow>& rows, jobs::JobContext& context)
    {
        std::vector<train::EncodedRow> encoded;
        std::vector<store::DatasetRow> kept;
        for (auto& row : rows) {
            auto ids = model.encoder.encode(row.example, text::LossOn::LastAnswer);
            if (!ids)
                return at(ids.error(), fmt::format("row {}", row.id));
            const auto limit = model.config.maxPositions;
            if (limit > 0 && static_cast<std::int64_t>(ids->ids.size()) > limit) {
                ++m_tooLong;
                continue;
            }
            encoded.push_back({row.id, std::move(ids->ids), std::move(ids->trained)});
            kept.push_back(std::move(row));
        }
        rows = std::move(kept);
        if (rows.empty())
            return Error{ErrorCode::InvalidInput, "every row is longer than this model can read", "dataset " + m_plan.dataset,
                         "Choose a model with a longer context"};
        context.emit(jobs::PhaseChanged{"measure the loss", -1, fmt::format("{} rows", rows.size())});
        auto objective = objectives::makeObjective("sft");
        if (!objective)
            return objective.error();
        const auto result = train::evaluate(*model.decoder, **objective, encoded, kTokensTogether,
                                            [&] { return context.stopRequested(); });
        for (std::size_t i = 0; result && i < rows.size(); ++i) {
            eval::RowPrediction prediction;
            prediction.rowId = rows[i].id;
            prediction.reference = data::answerOf(rows[i].example);
            prediction.lossSum = result->rowSum[i];
            prediction.tokens = result->rowWeight[i];
            m_predictions.push_back(std::move(prediction));
        }
        return {};
    }

    void writeAnswers(LoadedModel& model, const std::vector<store::DatasetRow>& rows, jobs::JobContext& context)
    {
        std::vector<std::vector<std::int32_t>> prompts;
        std::vector<std::size_t> owner;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            auto prompt = model.encoder.encodePrompt(rows[i].example);
            const bool runningText = rows[i].example.kind == data::RecordKind::Completion && rows[i].example.prompt.empty();
            if (prompt && !prompt->empty() && !runningText) {
                prompts.push_back(*std::move(prompt));
                owner.push_back(i);
            }
        }
        generate::Settings settings;
        settings.maxNewTokens = m_plan.maxNewTokens;
        settings.stopIds = model.stopIds();
        const auto written = [&](std::size_t finished) {
            context.emit(jobs::PhaseChanged{"write answers", static_cast<double>(finished) / static_cast<double>(prompts.size()),
                                            fmt::format("{} of {}", finished, prompts.size())});
        };
        if (!prompts.empty())
            written(0);
        const auto answers = generate::generate(*model.decoder, *model.encoder.tokenizer, prompts, settings,
                                                {.stop = [&] { return context.stopRequested(); }, .progress = written});
        for (std::size_t i = 0; i < answers.size(); ++i) {
            m_predictions[owner[i]].prediction = answers[i].text;
            m_predictions[owner[i]].hasAnswer = answers[i].stoppedBy != "person";
        }
    }

    Result<jobs::JobEnd> finish(const LoadedModel& model, data::RecordKind kind)
    {
        const auto scores = eval::scoreRows(kind, m_predictions);
        Json list = Json::array();
        for (const auto& score : scores)
            list.push_back(eval::toJson(score));
        auto folder = resultFolder();
        if (!folder)
            return folder.error();
        std::string lines;
        for (const auto& prediction : m_predictions)
            lines += eval::toJson(prediction).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
        if (auto written = writeFileAtomically(*folder / "predictions.jsonl", lines); !written)
            return written.error();
        Json result = {{"model", m_plan.model},
                       {"fingerprint", model.fingerprint},
                       {"weights", m_plan.weights.empty() ? Json() : Json(m_plan.weights)},
                       {"dataset", m_plan.dataset},
                       {"datasetVersion", m_version.number},
                       {"datasetDigest", m_version.digest},
                       {"split", data::toString(m_plan.split)},
                       {"rows", m_predictions.size()},
                       {"rowsTooLong", m_tooLong},
                       {"maxNewTokens", m_plan.maxNewTokens},
                       {"scores", std::move(list)},
                       {"time", isoTime(nowMilliseconds())}};
        if (auto written = writeFileAtomically(*folder / "scores.json", result.dump(1)); !written)
            return written.error();
        result["predictions"] = (*folder / "predictions.jsonl").string();
        return jobs::JobEnd{jobs::Finished{std::move(result)}};
    }

    /// runs/<id>/evaluations/<dataset>-v<n>-<split>[-<weights>]/, or evaluations/<model>/... for a base model.
    Result<fs::path> resultFolder() const
    {
        fs::path parent = m_workspace->folder() / "evaluations" / m_plan.model;
        if (m_plan.model.starts_with("run:")) {
            auto run = m_workspace->run(m_plan.model.substr(4));
            if (!run)
                return run.error();
            parent = m_workspace->runFolder(run->id) / "evaluations";
        }
        const auto folder = parent / fmt::format("{}-v{}-{}{}", m_plan.dataset, m_version.number, data::toString(m_plan.split),
                                                 m_plan.weights.empty() ? "" : "-" + m_plan.weights);
        std::error_code ec;
        fs::create_directories(folder, ec);
        if (ec)
            return Error{ErrorCode::Io, "the folder for the scores cannot be made", folder.filename().string(),
                         "Check the permissions of the workspace"};
        return folder;
    }

    std::shared_ptr<store::Workspace> m_workspace;
    EvaluatePlan m_plan;
    store::DatasetVersion m_version;
    std::vector<eval::RowPrediction> m_predictions;
    std::int64_t m_tooLong = 0;
};

} // namespace

std::shared_ptr<jobs::Job> makeEvaluateJob(std::shared_ptr<store::Workspace> workspace, EvaluatePlan plan)
{
    return std::make_shared<EvaluateJob>(std::move(workspace), std::move(plan));
}

} // namespace fettle::recipes
