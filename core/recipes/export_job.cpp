#include "base/atomic_file.h"
#include "base/sha256.h"
#include "deploy/export.h"
#include "model/load.h"
#include "recipes/front_door.h"
#include "recipes/loaded_model.h"
#include "tensor/torch_files.h"
#include "tensor/torch_pch.h"

#include <fmt/format.h>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kProofTexts = 16, kProofLength = 128;

/// Writes a run's model in an open format, reads it back from disk and compares the answers.
class ExportJob final : public jobs::Job
{
public:
    ExportJob(std::shared_ptr<store::Workspace> workspace, std::string run, std::string kind, fs::path folder)
        : m_workspace(std::move(workspace)), m_which(std::move(run)), m_kind(std::move(kind)), m_folder(std::move(folder))
    {
    }

    std::string title() const override { return "export"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        if (m_kind != "peft" && m_kind != "merged")
            return Error{ErrorCode::InvalidInput, "there is no export form \"" + m_kind + "\"", "export",
                         "Use peft (the add-on) or merged (the whole model)"};
        const auto which = m_which.starts_with("run:") ? m_which.substr(4) : m_which;
        auto run = m_workspace->run(which);
        if (!run)
            return run.error();
        if (auto free = checkTarget(); !free)
            return free.error();
        ModelShelf::onThisThread().clear();
        context.emit(jobs::PhaseChanged{"load model", -1, run->name});
        auto loaded = loadModel(*m_workspace, "run:" + run->id, "cpu");
        if (!loaded)
            return loaded.error();
        auto& model = **loaded;
        const auto texts = proofTexts(*run, model);
        const auto before = deploy::answersOf(*model.decoder, texts);
        context.emit(jobs::PhaseChanged{"write", -1, ""});
        auto written = m_kind == "peft"
                           ? deploy::exportAdapter(*model.attached, run->model, m_folder)
                           : deploy::exportMerged(*model.decoder, *model.attached, model.folder, m_folder);
        if (!written)
            return written.error();
        context.emit(jobs::PhaseChanged{"read back", -1, ""});
        auto after = readBack(*run, model, texts);
        if (!after)
            return after.error();
        return finish(*run, model, deploy::compareAnswers(before, *after));
    }

private:
    Result<void> checkTarget()
    {
        std::error_code ec;
        if (fs::is_directory(m_folder, ec) && fs::is_empty(m_folder, ec))
            fs::remove(m_folder, ec);
        if (fs::exists(m_folder, ec))
            return Error{ErrorCode::InvalidInput, "the folder exists already and is not empty", m_folder.filename().string(),
                         "Choose a new folder"};
        if (m_folder.has_parent_path())
            fs::create_directories(m_folder.parent_path(), ec);
        return {};
    }

    /// The run's fixed questions with their answers, and rows of the dataset: what it was taught on.
    std::vector<std::vector<std::int32_t>> proofTexts(const store::RunRecord& run, const LoadedModel& model) const
    {
        std::vector<std::vector<std::int32_t>> texts;
        auto dataset = m_workspace->dataset(run.dataset);
        if (dataset) {
            Encoder encoder = model.encoder;
            const auto rows = (*dataset)->rows({}, 0, kProofTexts);
            addDatasetFacts(encoder, **dataset, rows);
            for (const auto& row : rows) {
                if (auto encoded = encoder.encode(row.example, text::LossOn::All))
                    texts.push_back(std::move(encoded->ids));
            }
        }
        if (texts.empty())
            texts.push_back(model.encoder.tokenizer->encode("The quick brown fox jumps over the lazy dog."));
        for (auto& each : texts)
            each.resize(std::min(each.size(), kProofLength));
        return texts;
    }

    Result<deploy::Answers> readBack(const store::RunRecord& run, LoadedModel& model,
                                     const std::vector<std::vector<std::int32_t>>& texts) const
    {
        auto files = model::ModelFiles::open(m_kind == "merged" ? m_folder : model.folder);
        if (!files)
            return files.error();
        auto decoder = model::loadDecoder(*files, c10::kCPU, at::kFloat);
        if (!decoder)
            return decoder.error();
        std::unique_ptr<methods::Attached> attached;
        if (m_kind == "peft") {
            ParamValues values(trainingSettings());
            if (auto set = values.setAll(Json(run.settings)); !set)
                return set.error();
            auto again = methods::makeMethod(values.text("method")).value()->attach(**decoder, values, Rng(run.seed, "adapter init"));
            if (!again)
                return again.error();
            attached = *std::move(again);
            auto tensors = tensor::readTensors(m_folder / "adapter_model.safetensors");
            if (!tensors)
                return tensors.error();
            const at::NoGradGuard noGrad;
            for (const auto& each : attached->trainable()) {
                at::Tensor target = each.value;
                target.copy_(tensors->at("base_model.model." + each.name));
            }
        }
        return deploy::answersOf(**decoder, texts);
    }

    Result<jobs::JobEnd> finish(const store::RunRecord& run, const LoadedModel& model, const deploy::Proof& proof) const
    {
        Json files = Json::array();
        std::uint64_t bytes = 0;
        for (const auto& entry : fs::directory_iterator(m_folder)) {
            auto digest = sha256OfFile(entry.path());
            if (!digest)
                return digest.error();
            files.push_back({{"name", entry.path().filename().string()}, {"bytes", entry.file_size()}, {"sha256", *digest}});
            bytes += entry.file_size();
        }
        Json card = {{"run", run.id},         {"step", model.step},
                     {"baseModel", run.model}, {"baseDigest", run.modelDigest},
                     {"form", m_kind},         {"files", files},
                     {"proof", deploy::toJson(proof)}};
        if (auto written = writeFileAtomically(m_folder / "fettle_proof.json", card.dump(1)); !written)
            return written.error();
        if (!proof.passed)
            return Error{ErrorCode::Internal,
                         fmt::format("what was written answers otherwise than the trained model: largest difference of a "
                                     "logit {:.2g}, allowed {:.2g}",
                                     proof.largestDifference, deploy::kProofLimit),
                         m_folder.filename().string(), "Do not use this folder; write it again or report this"};
        card["folder"] = m_folder.string();
        card["bytes"] = bytes;
        return jobs::JobEnd{jobs::Finished{std::move(card)}};
    }

    std::shared_ptr<store::Workspace> m_workspace;
    std::string m_which, m_kind;
    fs::path m_folder;
};

} // namespace

std::shared_ptr<jobs::Job> makeExportJob(std::shared_ptr<store::Workspace> workspace, std::string run, std::string kind,
                                         fs::path folder)
{
    return std::make_shared<ExportJob>(std::move(workspace), std::move(run), std::move(kind), std::move(folder));
}

} // namespace fettle::recipes
