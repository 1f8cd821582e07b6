#include "methods/method.h"
#include "tensor/torch_pch.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace fettle::methods {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

/// y = x W^T + b + s (xd A^T) B^T as one node: the base product is the same call as without the
/// update, the update is added in place, and only x, xd and the thin product are kept.
/// xd is x after dropout (the same tensor without dropout); an empty bias means none. A and B are float32; in
/// a model of other numbers the products take them rounded to those.
struct LowRankFunction : Function<LowRankFunction>
{
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& dropped, const Tensor& wideA,
                          const Tensor& wideB, const Tensor& weight, const Tensor& bias, double scale)
    {
        Tensor y = bias.numel() > 0 ? at::linear(x, weight, bias) : at::linear(x, weight);  // [T, out]
        const Tensor a = wideA.to(y.scalar_type()), b = wideB.to(y.scalar_type());
        const Tensor low = at::mm(dropped, a.t());                                        // [T, rank]
        y.addmm_(low, b.t(), 1, scale);
        ctx->save_for_backward({dropped, a, b, weight, low});
        ctx->saved_data["scale"] = scale;
        return y;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto saved = ctx->get_saved_variables();
        const Tensor &dropped = saved[0], &a = saved[1], &b = saved[2], &weight = saved[3], &low = saved[4];
        const double scale = ctx->saved_data["scale"].toDouble();
        const Tensor dy = grads[0].contiguous();
        const Tensor dLow = at::mm(dy, b).mul_(scale);                                    // [T, rank]
        Tensor dx, dDropped;
        if (ctx->needs_input_grad(0))
            dx = at::mm(dy, weight);                                                      // [T, in]
        if (ctx->needs_input_grad(1))
            dDropped = at::mm(dLow, a);
        return {dx, dDropped, at::mm(dLow.t(), dropped).to(at::kFloat), at::mm(dy.t(), low).to(at::kFloat).mul_(scale),
                Tensor(), Tensor(), Tensor()};
    }
};

class LoraTerm final : public model::DeltaTerm
{
public:
    Tensor a, b;          // [rank, in], [out, rank]
    double scale = 1, dropout = 0;

    Tensor forward(const model::LinearSite& site, const Tensor& x, const model::PassContext& pass) const override
    {
        const Tensor dropped =
            pass.training ? tensor::dropout(x, dropout, {*pass.dropout, pass.draw, site.index, pass.places}) : x;
        // Codes are decoded again by their own node; float64 is for gradient checks.
        if (site.packed || site.weight.scalar_type() == at::kDouble) {
            const auto type = x.scalar_type();
            return site.base(x) + at::mm(at::mm(dropped, a.to(type).t()), b.to(type).t()) * scale;
        }
        const Tensor bias = site.bias.defined() ? site.bias : at::empty({0}, site.weight.options());
        return LowRankFunction::apply(x, dropped, a, b, site.matrix(), bias, scale);
    }
    Tensor deltaWeight() const override { return at::mm(b.detach(), a.detach()).mul_(scale); }
    std::optional<model::LowRank> lowRank() const override { return model::LowRank{a, b, scale, dropout}; }
};

struct LoraSettings
{
    std::int64_t rank;
    double alpha, dropout;
    std::vector<std::string> targets;
};

class LoraAttached final : public Attached
{
public:
    LoraAttached(std::vector<std::pair<model::LinearSite*, std::shared_ptr<LoraTerm>>> terms, LoraSettings settings,
                 std::vector<std::string> siteNames, model::ModelKind kind)
        : m_terms(std::move(terms)), m_settings(std::move(settings)), m_siteNames(std::move(siteNames)),
          m_transposed(m_terms.front().first->transposed), m_kind(kind)
    {
        for (auto& [site, term] : m_terms) {
            m_trainable.push_back({site->path + ".lora_A.weight", term->a, true});
            m_trainable.push_back({site->path + ".lora_B.weight", term->b, true});
        }
    }

    const std::vector<TrainableTensor>& trainable() const override { return m_trainable; }
    void setEnabled(bool enabled) override
    {
        for (auto& [site, term] : m_terms)
            site->termEnabled = enabled;
    }
    Result<void> merge() override
    {
        const at::NoGradGuard noGrad;
        for (auto& [site, term] : m_terms) {
            if (!at::isfinite(term->deltaWeight()).all().item<bool>())
                return Error{ErrorCode::Diverged, "the add-on at " + site->path + " is not finite", "merge",
                             "Go back to an earlier save point"};
        }
        for (auto& [site, term] : m_terms) {
            site->addToWeight(term->deltaWeight());
            site->term.reset();
        }
        m_terms.clear();
        return {};
    }
    OrderedJson adapterConfig(const std::string& baseModel) const override
    {
        return {{"base_model_name_or_path", baseModel},
                {"bias", "none"},
                {"fan_in_fan_out", m_transposed},
                {"inference_mode", true},
                {"init_lora_weights", true},
                {"lora_alpha", m_settings.alpha},
                {"lora_dropout", m_settings.dropout},
                {"modules_to_save", nullptr},
                {"peft_type", "LORA"},
                {"r", m_settings.rank},
                {"target_modules", targetModules()},
                {"task_type", taskType()},
                {"use_dora", false},
                {"use_rslora", false}};
    }

private:
    /// As PEFT names what models are for.
    const char* taskType() const
    {
        switch (m_kind) {
        case model::ModelKind::Decoder:
            return "CAUSAL_LM";
        case model::ModelKind::EncoderDecoder:
            return "SEQ_2_SEQ_LM";
        case model::ModelKind::Encoder:
            break;
        }
        return "FEATURE_EXTRACTION";
    }
    /// As PEFT reads them: in a list, "all-linear" would be a module's name.
    std::vector<std::string> targetModules() const
    {
        if (std::ranges::find(m_settings.targets, "all-linear") == m_settings.targets.end())
            return m_settings.targets;
        return m_siteNames;
    }

    std::vector<std::pair<model::LinearSite*, std::shared_ptr<LoraTerm>>> m_terms;
    std::vector<TrainableTensor> m_trainable;
    LoraSettings m_settings;
    std::vector<std::string> m_siteNames;
    bool m_transposed;
    model::ModelKind m_kind;
};

/// A matches the whole path or ends it behind a dot, as PEFT matches target_modules.
bool matches(const std::string& path, const std::string& target)
{
    return path == target || path.ends_with("." + target);
}

/// The last parts of the paths, each once: "q_proj".
std::vector<std::string> siteNames(model::Model& model)
{
    std::vector<std::string> names;
    for (const auto* site : model.sites()) {
        const auto name = site->path.substr(site->path.rfind('.') + 1);
        if (std::ranges::find(names, name) == names.end())
            names.push_back(name);
    }
    return names;
}

/// Kaiming-uniform start with a = sqrt(5): uniform in +-1/sqrt(in), as PEFT starts A.
void startA(Tensor& a, const Rng& init, std::uint64_t site)
{
    const double bound = 1.0 / std::sqrt(static_cast<double>(a.size(1)));
    float* p = a.data_ptr<float>();
    for (std::int64_t i = 0; i < a.numel(); ++i)
        p[i] = static_cast<float>((2 * init.uniform(site, static_cast<std::uint64_t>(i)) - 1) * bound);
}

/// LoRA: y = W x + (alpha / rank) B A dropout(x); only A [rank, in] and B [out, rank] train. B starts
/// at zero, so before the first step the model answers bit for bit as the base.
/// Errors: InvalidInput when a target matches no site or the rank exceeds a site.
/// Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", eq. 3.
class Lora final : public Method
{
public:
    MethodSpec spec() const override;
    Result<std::unique_ptr<Attached>> attach(model::Model& model, const ParamValues& values,
                                             const Rng& init) const override;
};

MethodSpec Lora::spec() const
{
    MethodSpec spec;
    spec.id = "lora";
    spec.title = "Add-on (LoRA)";
    spec.help = "Learns a small file that changes the original when both are loaded; the original stays as it is.";
    spec.source = "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models";
    spec.learningRate = 2e-4;
    spec.savesAdapter = true;

    ParamSpec rank{"lora.rank", "Add-on size", "rank", "How much the add-on can hold.",
                   "Sixteen is enough for a form of answer and a vocabulary.", ParamKind::Integer, 16};
    rank.minimum = 1, rank.maximum = 1024;
    rank.basic = true;
    ParamSpec alpha{"lora.alpha", "Add-on strength", "scaling (alpha)", "How strongly the add-on speaks.",
                    "Twice the size is the usual start.", ParamKind::Real, 32.0};
    alpha.minimum = 0, alpha.maximum = 10000;
    ParamSpec dropout{"lora.dropout", "Forgetting while learning", "dropout",
                      "Share of the input that the add-on does not see at each step.",
                      "A little keeps it from learning rows by heart.", ParamKind::Real, 0.05};
    dropout.minimum = 0, dropout.maximum = 0.9;
    ParamSpec targets{"lora.targets", "Where it acts", "target modules", "Which matrices get an add-on.",
                      "All of them learn better than a few.", ParamKind::TextList,
                      Json{"all-linear"}};
    spec.parameters = {rank, alpha, dropout, targets};
    return spec;
}

Result<std::unique_ptr<Attached>> Lora::attach(model::Model& model, const ParamValues& values, const Rng& init) const
{
    const LoraSettings settings{values.integer("lora.rank"), values.real("lora.alpha"), values.real("lora.dropout"),
                                values.list("lora.targets")};
    std::vector<std::pair<model::LinearSite*, std::shared_ptr<LoraTerm>>> terms;
    std::set<std::string> used;
    for (auto* site : model.sites()) {
        const auto target = std::ranges::find_if(
            settings.targets, [&](const auto& each) { return each == "all-linear" || matches(site->path, each); });
        if (target == settings.targets.end())
            continue;
        used.insert(*target);
        const auto in = site->in(), out = site->out();
        if (settings.rank > std::min(in, out))
            return Error{ErrorCode::InvalidInput,
                         fmt::format("the add-on size {} is larger than the matrix {} ({} x {})", settings.rank,
                                     site->path, out, in),
                         "setting lora.rank", fmt::format("Use at most {}", std::min(in, out))};
        auto term = std::make_shared<LoraTerm>();
        const auto dtype = model.dtype() == at::kDouble ? at::kDouble : at::kFloat;
        Tensor a = at::empty({settings.rank, in}, at::kFloat);
        startA(a, init, site->index);
        term->a = a.to(model.device(), dtype).set_requires_grad(true);
        term->b = at::zeros({out, settings.rank}, at::TensorOptions(model.device()).dtype(dtype)).set_requires_grad(true);
        term->scale = settings.alpha / static_cast<double>(settings.rank);
        term->dropout = settings.dropout;
        site->term = term;
        terms.emplace_back(site, std::move(term));
    }
    for (const auto& target : settings.targets) {
        if (!used.contains(target))
            return Error{ErrorCode::InvalidInput, fmt::format("no matrix of this model is called \"{}\"", target),
                         "setting lora.targets",
                         fmt::format("Use all-linear or some of: {}", fmt::join(siteNames(model), ", "))};
    }
    if (terms.empty())
        return Error{ErrorCode::InvalidInput, "no matrix is named", "setting lora.targets", "Name at least one"};
    return std::unique_ptr<Attached>(new LoraAttached(std::move(terms), settings, siteNames(model), model.config.kind));
}

} // namespace

std::unique_ptr<Method> makeLora();
std::unique_ptr<Method> makeLora() { return std::make_unique<Lora>(); }

} // namespace fettle::methods
