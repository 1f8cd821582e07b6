#pragma once

#include "base/param_spec.h"
#include "base/rng.h"
#include "methods/specs.h"
#include "model/language_model.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fettle::methods {

/// A tensor that trains, under its name in files.
struct TrainableTensor
{
    std::string name;     ///< without prefix: "model.layers.0.self_attn.q_proj.lora_A.weight"
    at::Tensor value;     ///< leaf that requires a gradient, in float32 or bfloat16
    bool decays = true;   ///< weight decay applies
    bool table = false;   ///< of embeddings: a step reads few of its rows
};

/// A method that is attached to a model. Lives as long as the model.
class Attached
{
public:
    virtual ~Attached() = default;

    virtual const std::vector<TrainableTensor>& trainable() const = 0;
    /// Off: the model answers exactly as the base (only for methods that save an adapter).
    virtual void setEnabled(bool enabled) = 0;
    /// Works the change into the base weights (float32 sum, rounded once) and removes itself.
    /// Errors: Diverged when a value is not finite; the weights are then untouched.
    virtual Result<void> merge() = 0;
    /// adapter_config.json for methods that have a PEFT form; null otherwise.
    virtual OrderedJson adapterConfig(const std::string& baseModel) const = 0;
};

/// What is trained. Attached to a model; the model knows no method by name.
class Method
{
public:
    virtual ~Method() = default;
    virtual MethodSpec spec() const = 0;
    /// Places terms on sites and says which tensors may move; all others stay frozen.
    /// Errors: InvalidInput naming the setting.
    virtual Result<std::unique_ptr<Attached>> attach(model::Model& model, const ParamValues& values,
                                                     const Rng& init) const = 0;
};

/// By id. Errors: NotFound.
Result<std::unique_ptr<Method>> makeMethod(const std::string& id);

} // namespace fettle::methods
