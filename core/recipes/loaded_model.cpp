#include "recipes/loaded_model.h"

#include "base/sha256.h"
#include "model/load.h"
#include "recipes/settings.h"
#include "tensor/device.h"
#include "tensor/torch_pch.h"
#include "train/checkpoint.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

using tensor::WeightKind;

/// `precision`: "auto", "float32" or "bfloat16".
Result<at::ScalarType> dtypeFor(c10::Device device, const std::string& precision)
{
    if (precision == "bfloat16" && device.is_cpu())
        return Error{ErrorCode::Unsupported, "numbers of 16 bits compute on a graphics card only", "setting training.precision",
                     "Leave it at what is best for the device"};
    return device.is_cpu() || precision == "float32" ? at::kFloat : at::kBFloat16;
}

Result<std::shared_ptr<LoadedModel>> loadBase(const fs::path& folder, const std::string& device, const std::string& precision,
                                              WeightKind weights)
{
    auto files = model::ModelFiles::open(folder);
    if (!files)
        return files.error();
    auto encoder = loadEncoder(folder);
    if (!encoder)
        return encoder.error();
    auto chosen = tensor::chooseDevice(device);
    if (!chosen)
        return chosen.error();
    const auto dtype = dtypeFor(*chosen, precision);
    if (!dtype)
        return dtype.error();
    auto decoder = model::loadLanguageModel(*files, *chosen, *dtype, weights);
    if (!decoder)
        return decoder.error();
    auto loaded = std::make_shared<LoadedModel>();
    loaded->config = files->config();
    loaded->decoder = *std::move(decoder);
    loaded->folder = folder;
    loaded->stored = files->storedKind();
    loaded->encoder = *std::move(encoder);
    return loaded;
}

/// Puts what a run learned into its base model.
Result<void> applyRun(const store::Workspace& workspace, const store::RunRecord& run, const ParamValues& values,
                      LoadedModel& loaded)
{
    auto checkpoint = chosenCheckpoint(workspace, run);
    if (!checkpoint)
        return checkpoint.error();
    auto method = methods::makeMethod(values.text("method"));
    if (!method)
        return method.error();
    auto attached = (*method)->attach(*loaded.decoder, values, Rng(run.seed, "adapter init"));
    if (!attached)
        return attached.error();
    loaded.attached = *std::move(attached);
    if (auto weights = train::loadWeights(*checkpoint, *loaded.attached); !weights)
        return weights;
    auto info = train::readCheckpointInfo(*checkpoint);
    auto manifest = readFile(*checkpoint / "MANIFEST.json", 1 << 20);
    if (!info || !manifest)
        return !info ? info.error() : manifest.error();
    loaded.step = info->state.step;
    loaded.fingerprint = sha256(*manifest).substr(0, 8);
    return {};
}

} // namespace

std::vector<std::int32_t> LoadedModel::stopIds() const
{
    auto ids = config.eosIds;
    if (encoder.tokenizer->eosId && std::ranges::find(ids, *encoder.tokenizer->eosId) == ids.end())
        ids.push_back(*encoder.tokenizer->eosId);
    return ids;
}

Result<fs::path> chosenCheckpoint(const store::Workspace& workspace, const store::RunRecord& run)
{
    const auto folder = workspace.runFolder(run.id);
    for (const auto& checkpoint : train::listCheckpoints(folder)) {
        auto info = train::readCheckpointInfo(checkpoint);
        if (info && info->state.step == run.bestStep && run.bestStep > 0 && train::verifyCheckpoint(checkpoint))
            return checkpoint;
    }
    if (const auto newest = train::newestIntactCheckpoint(folder))
        return *newest;
    return Error{ErrorCode::NotFound, "this run has no save point yet", "run " + run.id,
                 "Wait for the first one, or continue the run"};
}

Result<Encoder> loadEncoder(const fs::path& folder)
{
    auto tokenizer = text::Tokenizer::load(folder);
    if (!tokenizer)
        return at(tokenizer.error(), folder.filename().string());
    auto config = model::readModelConfig(folder);
    if (!config)
        return config.error();
    Encoder encoder;
    encoder.tokenizer = *std::move(tokenizer);
    encoder.apart = config->kind == model::ModelKind::EncoderDecoder;
    auto chatTemplate = text::ChatTemplate::load(folder);
    if (chatTemplate)
        encoder.chatTemplate = *std::move(chatTemplate);
    else if (chatTemplate.error().code != ErrorCode::NotFound)
        return at(chatTemplate.error(), folder.filename().string());
    return encoder;
}

Result<WeightChoice> weightChoiceFrom(const std::string& name)
{
    if (name.empty())
        return WeightChoice{};
    if (const auto kind = tensor::weightKindFrom(name); kind && *kind != WeightKind::Stored16)
        return WeightChoice{kind};
    return Error{ErrorCode::InvalidInput, "weights cannot be held as \"" + name + "\"", "weights",
                 "Use float32, int8 or nf4"};
}

Result<std::shared_ptr<LoadedModel>> loadModel(const store::Workspace& workspace, const std::string& which,
                                               const std::string& device, WeightChoice weights,
                                               const std::string& precision)
{
    const bool isRun = which.starts_with("run:");
    std::optional<store::RunRecord> run;
    if (isRun) {
        auto found = workspace.run(which.substr(4));
        if (!found)
            return found.error();
        run = *std::move(found);
    }
    auto record = workspace.model(isRun ? run->model : which);
    if (!record)
        return record.error();
    ParamValues values(trainingSettings());
    if (run) {
        if (auto set = values.setAll(Json(run->settings)); !set)
            return at(set.error(), "run " + run->id);
    }
    const auto kind = weights.value_or(weightKind(values));
    const bool whole = run && values.text("method") == "full"; // its weights are packed when they are there
    auto loaded = loadBase(record->folder, device, whole && precision == "auto" ? "float32" : precision,
                           whole ? WeightKind::Float32 : kind);
    if (!loaded)
        return loaded;
    (*loaded)->which = which;
    (*loaded)->fingerprint = record->digest.substr(0, 8);
    if (run) {
        if (auto applied = applyRun(workspace, *run, values, **loaded); !applied)
            return applied.error();
    }
    if (hasFewBits(kind))
        (*loaded)->fingerprint += fmt::format(" {}", tensor::nameOf(kind));
    if (whole && hasFewBits(kind)) {
        (*loaded)->attached.reset();
        (*loaded)->decoder->pack(kind);
    }
    return loaded;
}

ModelShelf& ModelShelf::onThisThread()
{
    thread_local ModelShelf shelf;  // ends with the worker's thread, before LibTorch does
    return shelf;
}

Result<std::shared_ptr<LoadedModel>> ModelShelf::get(const store::Workspace& workspace, const std::string& which,
                                                     const std::string& weights)
{
    const auto choice = weightChoiceFrom(weights);
    if (!choice)
        return choice.error();
    std::string key = workspace.folder().string() + "\n" + which + "\n" + weights;
    if (which.starts_with("run:")) {
        auto run = workspace.run(which.substr(4));
        if (!run)
            return run.error();
        key += "\n" + run->id + "\n" + std::to_string(run->step) + "\n" + std::to_string(run->bestStep);
    }
    const auto found = std::ranges::find(m_models, key, [](const auto& each) { return each.first; });
    if (found != m_models.end()) {
        m_models.splice(m_models.begin(), m_models, found);
        return m_models.front().second;
    }
    if (m_models.size() >= 2)
        m_models.pop_back();
    auto loaded = loadModel(workspace, which, "auto", *choice);
    if (loaded)
        m_models.emplace_front(key, *loaded);
    return loaded;
}

} // namespace fettle::recipes
