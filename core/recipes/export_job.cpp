#include "base/text.h"
#include "deploy/proof_card.h"
#include "model/load.h"
#include "recipes/export_forms.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/version.h>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kProofRows = 8, kProofLength = 128;

Error unknownForm(const std::string& id)
{
    std::vector<std::string> known;
    for (const auto& form : exportForms())
        known.push_back(fmt::format("{} ({})", form.info.id, form.info.help));
    return {ErrorCode::InvalidInput, "there is no export form \"" + id + "\"", "export",
            fmt::format("Use {}", fmt::join(known, " or "))};
}

Error unknownType(const ExportFormInfo& info, const std::string& type)
{
    return {ErrorCode::InvalidInput,
            fmt::format("\"{}\" is no type in which {} is written", type, info.id), "--dtype",
            fmt::format("Use {}", fmt::join(info.types, ", "))};
}

/// The name of a type as the form writes it: "bf16" is bfloat16; empty is the form's first.
Result<std::string> settledType(const ExportFormInfo& info, const std::string& type)
{
    static const std::pair<const char*, const char*> kShort[] = {{"f32", "float32"},
                                                                 {"fp32", "float32"},
                                                                 {"bf16", "bfloat16"},
                                                                 {"f16", "float16"},
                                                                 {"fp16", "float16"}};
    if (type.empty())
        return info.types.front();
    const auto lower = lowerAscii(type);
    for (const auto& known : info.types) {
        if (lowerAscii(known) == lower)
            return known;
    }
    for (const auto& [name, full] : kShort) {
        if (lower == name && std::ranges::find(info.types, full) != info.types.end())
            return std::string(full);
    }
    return unknownType(info, type);
}

/// Writes a run or a model in an open form, reads it back from disk and compares the answers.
class ExportJob final : public jobs::Job
{
public:
    ExportJob(std::shared_ptr<store::Workspace> workspace, ExportPlan plan)
        : m_workspace(std::move(workspace))
        , m_plan(std::move(plan))
    {
    }

    std::string title() const override { return "export"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        auto form = chooseForm();
        if (!form)
            return form.error();
        if (auto found = findSource(**form); !found)
            return found.error();
        if (auto free = checkTarget(); !free)
            return free.error();
        ModelShelf::onThisThread().clear();
        context.emit(jobs::PhaseChanged{"load model", -1, m_run ? m_run->name : m_model});
        auto subject = load();
        if (!subject)
            return subject.error();
        auto& model = subject->itself();
        const auto attached = subject->loaded ? subject->loaded->attached.get() : nullptr;
        ExportSource source{model, attached, m_modelRecord.folder, m_model,
                            m_run, m_plan,   metered(context)};
        std::int64_t prompts = 0;
        const auto texts = proofTexts(subject->texts(), model.config, prompts);
        const auto before = deploy::answersOf(model, texts);
        context.emit(jobs::PhaseChanged{"write", -1, ""});
        if (auto written = (*form)->write(source); !written) {
            if (written.error().code == ErrorCode::Cancelled)
                return jobs::JobEnd{jobs::Stopped{}};
            return written.error();
        }
        context.emit(jobs::PhaseChanged{"read back", -1, ""});
        auto after = (*form)->readBack(source);
        if (!after)
            return after.error();
        auto proof = after->attached // an add-on is written without rounding
                         ? deploy::compareAnswers(before, deploy::answersOf(*after->onDisk, texts))
                         : deploy::proveModel(model, *after->onDisk, before, texts);
        proof.prompts = prompts;
        proof.weights = after->weights;
        return finish(subject->loaded ? subject->loaded->step : 0, proof, source.notes);
    }

private:
    /// What leaves: a model that writes, with what a run taught it, or an encoder as it is.
    struct Subject
    {
        std::shared_ptr<LoadedModel> loaded;
        std::unique_ptr<model::Model> encoder;
        Encoder encoderTexts;
        model::Model& itself() const { return loaded ? *loaded->decoder : *encoder; }
        const Encoder& texts() const { return loaded ? loaded->encoder : encoderTexts; }
    };

    /// In 32 bits, however a run held it: nothing is rounded twice.
    Result<Subject> load() const
    {
        const auto config = model::readModelConfig(m_modelRecord.folder);
        if (!config)
            return config.error();
        if (config->kind != model::ModelKind::Encoder) {
            auto loaded = loadModel(*m_workspace, m_run ? "run:" + m_run->id : m_model, "cpu",
                                    tensor::WeightKind::Float32);
            return loaded ? Result<Subject>(Subject{*std::move(loaded), nullptr, {}})
                          : loaded.error();
        }
        if (m_plan.form == "ollama") // its Modelfile is about conversations
            return model::requireWriter(*config, m_model).error();
        const auto files = model::ModelFiles::open(m_modelRecord.folder);
        auto texts = loadEncoder(m_modelRecord.folder);
        if (!files || !texts)
            return !files ? files.error() : texts.error();
        auto encoder = model::loadAny(*files, c10::kCPU, at::kFloat);
        return encoder ? Result<Subject>(Subject{nullptr, *std::move(encoder), *std::move(texts)})
                       : encoder.error();
    }

    Result<const ExportForm*> chooseForm()
    {
        const auto& forms = exportForms();
        const auto form =
            std::ranges::find(forms, m_plan.form, [](const auto& each) { return each.info.id; });
        if (form == forms.end())
            return unknownForm(m_plan.form);
        auto type = settledType(form->info, m_plan.type);
        if (!type)
            return type.error();
        m_plan.type = *type;
        return &*form;
    }

    /// A run by number, id or name, or a model of the workspace; "run:" and "model:" say which.
    Result<void> findSource(const ExportForm& form)
    {
        const auto& what = m_plan.what;
        if (!what.starts_with("model:")) {
            auto run = m_workspace->run(what.starts_with("run:") ? what.substr(4) : what);
            if (run)
                m_run = *std::move(run);
            else if (what.starts_with("run:") || !m_workspace->model(what))
                return run.error();
        }
        m_model = m_run ? m_run->model : what.starts_with("model:") ? what.substr(6) : what;
        auto model = m_workspace->model(m_model);
        if (!model)
            return model.error();
        m_modelRecord = *std::move(model);
        if (!m_run && !form.info.ofModels)
            return Error{ErrorCode::InvalidInput,
                         fmt::format("a model has no form {}; it belongs to runs", form.info.id),
                         "model " + m_model, "Name a run, or use merged"};
        return {};
    }

    Result<void> checkTarget()
    {
        std::error_code ec;
        if (fs::is_directory(m_plan.folder, ec) && fs::is_empty(m_plan.folder, ec))
            fs::remove(m_plan.folder, ec);
        if (fs::exists(m_plan.folder, ec))
            return Error{ErrorCode::InvalidInput, "the folder exists already and is not empty",
                         m_plan.folder.filename().string(), "Choose a new folder"};
        if (m_plan.folder.has_parent_path())
            fs::create_directories(m_plan.folder.parent_path(), ec);
        return {};
    }

    deploy::WrittenBytes metered(jobs::JobContext& context) const
    {
        return [&context, done = std::uint64_t{0}](std::uint64_t bytes) mutable -> Result<void> {
            if (context.stopRequested())
                return Error{ErrorCode::Cancelled, "the export was stopped; nothing was kept", "",
                             ""};
            done += bytes;
            context.emit(jobs::PhaseChanged{"write", -1, humanBytes(done)});
            return {};
        };
    }

    /// The program's own prompts, and rows of what the run was taught on.
    deploy::Texts proofTexts(const Encoder& encoder, const model::ModelConfig& config,
                             std::int64_t& prompts) const
    {
        deploy::Texts texts;
        for (const auto& prompt : deploy::proofPrompts()) {
            auto ids = encoder.tokenizer->encode(prompt);
            if (ids.size() > 1)
                texts.push_back(std::move(ids));
        }
        prompts = static_cast<std::int64_t>(texts.size());
        if (m_run)
            addRows(encoder, texts);
        // Beyond its context and its windows a model is another than some files can state.
        auto longest = kProofLength;
        const auto within = [&longest](std::int64_t limit) {
            if (limit > 0)
                longest = std::min(longest, static_cast<std::size_t>(limit));
        };
        within(config.maxPositions);
        for (const auto& layer : config.layer)
            within(layer.window);
        for (auto& each : texts)
            each.resize(std::min(each.size(), longest));
        return texts;
    }

    void addRows(Encoder encoder, deploy::Texts& texts) const
    {
        auto dataset = m_workspace->dataset(m_run->dataset);
        if (!dataset)
            return; // thrown away meanwhile; the prompts remain
        const auto rows = (*dataset)->rows({}, 0, kProofRows);
        addDatasetFacts(encoder, **dataset, rows);
        for (const auto& row : rows) {
            auto encoded = encoder.encode(row.example, text::LossOn::All);
            if (encoded && encoded->ids.size() > 1)
                texts.push_back(std::move(encoded->ids));
        }
    }

    Result<jobs::JobEnd> finish(std::int64_t step, const deploy::Proof& proof,
                                const std::vector<std::string>& notes) const
    {
        Json from = {{"model", m_model}, {"modelDigest", m_modelRecord.digest}};
        if (m_run) {
            from["run"] = m_run->id;
            from["step"] = step;
            from["dataset digest"] = m_run->datasetDigest;
        }
        auto card = deploy::writeProofCard(m_plan.folder, {{"form", m_plan.form},
                                                           {"type", m_plan.type},
                                                           {"from", from},
                                                           {"notes", notes},
                                                           {"libtorch", TORCH_VERSION},
                                                           {"proof", deploy::toJson(proof)}});
        if (!card)
            return card.error();
        if (!proof.passed)
            return Error{
                ErrorCode::Internal,
                fmt::format("what was written answers otherwise than the model in memory: largest "
                            "difference {:.2g}; of it {:.2g} is not from rounding, allowed "
                            "{:.2g}; perplexity {:.5g} before and {:.5g} after",
                            proof.largestDifference, proof.unexplained, deploy::kLogitLimit,
                            proof.perplexityBefore, proof.perplexityAfter),
                m_plan.folder.filename().string(),
                "Do not use this folder; write it again or report this"};
        std::uint64_t bytes = 0;
        for (const auto& file : (*card)["files"])
            bytes += file["bytes"].get<std::uint64_t>();
        (*card)["folder"] = m_plan.folder.string();
        (*card)["bytes"] = bytes;
        return jobs::JobEnd{jobs::Finished{*std::move(card)}};
    }

    std::shared_ptr<store::Workspace> m_workspace;
    ExportPlan m_plan;
    std::optional<store::RunRecord> m_run;
    std::string m_model;
    store::ModelRecord m_modelRecord;
};

} // namespace

std::shared_ptr<jobs::Job> makeExportJob(std::shared_ptr<store::Workspace> workspace,
                                         ExportPlan plan)
{
    return std::make_shared<ExportJob>(std::move(workspace), std::move(plan));
}

} // namespace fettle::recipes
