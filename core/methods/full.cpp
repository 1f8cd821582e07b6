#include "methods/method.h"
#include "tensor/torch_pch.h"

#include <algorithm>

namespace fettle::methods {

namespace {

class FullAttached final : public Attached
{
public:
    explicit FullAttached(model::Model& model)
    {
        for (auto& [name, parameter] : model.parameters()) {
            // Own memory: the file's mapping is shared and must not change.
            const auto own = parameter->scalar_type();
            const auto dtype = own == at::kDouble || own == at::kBFloat16 ? own : at::kFloat;
            *parameter = parameter->to(dtype, /*non_blocking=*/false, /*copy=*/true).set_requires_grad(true);
            m_trainable.push_back({name, *parameter, parameter->dim() > 1, parameter == &model.embedding});
        }
        model.tie();
    }

    const std::vector<TrainableTensor>& trainable() const override { return m_trainable; }
    void setEnabled(bool) override {}
    Result<void> merge() override
    {
        for (const auto& each : m_trainable) {
            if (!at::isfinite(each.value).all().item<bool>())
                return Error{ErrorCode::Diverged, "the weight " + each.name + " is not finite", "merge",
                             "Go back to an earlier save point"};
        }
        return {};
    }
    OrderedJson adapterConfig(const std::string&) const override { return nullptr; }

private:
    std::vector<TrainableTensor> m_trainable;
};

/// Full fine-tuning: every weight may move, in the numbers that the model computes with; float16, which
/// holds too few sizes, becomes float32. Weight decay spares norms (one-dimensional tensors).
class Full final : public Method
{
public:
    MethodSpec spec() const override
    {
        MethodSpec spec;
        spec.id = "full";
        spec.title = "Whole model";
        spec.help = "Every number of the model may change; needs the most memory and disk.";
        spec.source = "ordinary fine-tuning";
        spec.learningRate = 2e-5;
        return spec;
    }
    Result<std::unique_ptr<Attached>> attach(model::Model& model, const ParamValues&, const Rng&) const override
    {
        if (std::ranges::any_of(model.sites(), [](const auto* site) { return site->packed != nullptr; }))
            return Error{ErrorCode::InvalidInput, "the whole model trains, and weights of few bits cannot",
                         "setting model.weights", "Choose float32, or an add-on"};
        return std::unique_ptr<Attached>(new FullAttached(model));
    }
};

} // namespace

std::unique_ptr<Method> makeFull();
std::unique_ptr<Method> makeFull() { return std::make_unique<Full>(); }

} // namespace fettle::methods
