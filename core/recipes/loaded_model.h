#pragma once

#include "methods/method.h"
#include "model/language_model.h"
#include "model/import/model_config.h"
#include "recipes/encode.h"
#include "tensor/files/weight_kind.h"
#include "store/workspace.h"

#include <list>
#include <memory>

namespace fettle::recipes {

/// A model in memory, ready to read or to answer; of a run: the base with what the run learned.
struct LoadedModel
{
    std::string which;                 ///< as asked for: "smollm2" or "run:12"
    model::ModelConfig config;
    std::unique_ptr<model::LanguageModel> decoder;  ///< an encoder-decoder as well
    std::unique_ptr<methods::Attached> attached;  ///< null for a base model
    std::filesystem::path folder;      ///< of the base model
    tensor::WeightKind stored = {}; ///< how its files hold it: see model::ModelFiles::storedKind()
    Encoder encoder;                   ///< without a dataset's instruction and classes
    std::string fingerprint;           ///< first 8 hex digits of the digest of the weights that answer
    std::int64_t step = 0;             ///< of the save point; 0 for a base model
    /// Ids that end an answer: the model's own list and the tokenizer's end token.
    std::vector<std::int32_t> stopIds() const;
};

/// Which save point of a run is meant: the best one, else the newest that is intact.
Result<std::filesystem::path> chosenCheckpoint(const store::Workspace& workspace, const store::RunRecord& run);

/// Tokenizer and conversation form of a model folder.
Result<Encoder> loadEncoder(const std::filesystem::path& folder);

/// How the numbers of the original are held; nothing: of a run as it was trained, else in 32 bits.
using WeightChoice = std::optional<tensor::WeightKind>;
/// "": nothing. Errors: InvalidInput for a name that is none.
Result<WeightChoice> weightChoiceFrom(const std::string& name);

/// `which`: a model's name or "run:<id, number or name>". device: "auto", "cpu", "cuda". precision: "auto", "float32" or, on a graphics card, "bfloat16".
Result<std::shared_ptr<LoadedModel>> loadModel(const store::Workspace& workspace, const std::string& which,
                                               const std::string& device = "auto", WeightChoice weights = {},
                                               const std::string& precision = "auto");

/// The last two models that were used, kept on the worker's thread. A run that trains clears it.
class ModelShelf
{
public:
    static ModelShelf& onThisThread();
    /// `weights`: a name for weightChoiceFrom().
    Result<std::shared_ptr<LoadedModel>> get(const store::Workspace& workspace, const std::string& which,
                                             const std::string& weights = {});
    void clear() { m_models.clear(); }

private:
    std::list<std::pair<std::string, std::shared_ptr<LoadedModel>>> m_models;  // newest first
};

} // namespace fettle::recipes
