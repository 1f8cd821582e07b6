#include "model/fused/fused_decoder.h"

#include "model/decoder.h"
#include "model/fused/describe.h"
#include "model/fused/known.h"
#include "model/fused/stack.h"
#include "tensor/ops_detail.h"
#include "tensor/torch_pch.h"

#include <mutex>
#include <numeric>

namespace fettle::model {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Work buffers of the model and tapes that are not in use.
struct FusedDecoder::State
{
    fused::Stack stack;
    std::vector<std::unique_ptr<fused::Tape>> idle;
    std::mutex mutex; ///< a graph may be released by another thread than the one that computes

    std::unique_ptr<fused::Tape> take()
    {
        const std::lock_guard lock(mutex);
        if (idle.empty())
            return std::make_unique<fused::Tape>();
        auto tape = std::move(idle.back());
        idle.pop_back();
        return tape;
    }
    void giveBack(std::unique_ptr<fused::Tape> tape)
    {
        const std::lock_guard lock(mutex);
        if (tape && idle.empty()) // one is enough but for objectives that keep several graphs
            idle.push_back(std::move(tape));
    }
};

namespace {

bool plain(const Tensor& t) { return t.device().is_cpu() && t.scalar_type() == at::kFloat; }

const float* dataOf(const Tensor& t) { return t.defined() ? t.const_data_ptr<float>() : nullptr; }

/// Where the gradient of a tensor is added up; null when it does not train.
float* gradientOf(const Tensor& t)
{
    if (!t.defined() || !t.requires_grad())
        return nullptr;
    auto& grad = const_cast<Tensor&>(t).mutable_grad();
    if (!grad.defined())
        grad = at::zeros(t.sizes(), t.options().requires_grad(false));
    else if (!grad.is_contiguous())
        grad = grad.contiguous();
    return grad.data_ptr<float>();
}

bool siteFits(const LinearSite& site)
{
    const auto& weight = site.weight;
    if (!site.packed && (!weight.defined() || !plain(weight) ||
                         (weight.requires_grad() && !weight.is_contiguous())))
        return false;
    if (!site.term || !site.termEnabled)
        return true;
    const auto low = site.term->lowRank();
    return low && plain(low->a) && plain(low->b) && low->a.is_contiguous() &&
           low->b.is_contiguous() && (site.packed || !weight.requires_grad());
}

bool normFits(const Norm& norm)
{
    return plain(norm.weight) && norm.weight.is_contiguous() &&
           (!norm.bias.defined() || (plain(norm.bias) && norm.bias.is_contiguous()));
}

bool blockFits(const ModelConfig& config, const Block& b)
{
    return std::ranges::all_of(fused::sitesOf(b),
                               [](const auto* site) { return !site || siteFits(*site); }) &&
           std::ranges::all_of(fused::normsOf(config, b),
                               [](const auto* norm) { return !norm || normFits(*norm); });
}

fused::Linear linearOf(const LinearSite& site)
{
    fused::Linear linear;
    linear.out = site.out(), linear.in = site.in();
    linear.packed = site.packed.get();
    linear.weight = dataOf(site.weight), linear.bias = dataOf(site.bias);
    if (!site.packed) {
        const auto matrix = site.matrix();
        linear.rowStride = matrix.stride(0), linear.colStride = matrix.stride(1);
    }
    linear.site = site.index;
    if (site.term && site.termEnabled) {
        const auto low = *site.term->lowRank();
        linear.rank = low.a.size(0);
        linear.a = dataOf(low.a), linear.b = dataOf(low.b);
        linear.scale = static_cast<float>(low.scale), linear.dropout = low.dropout;
    }
    return linear;
}

void addGradients(const LinearSite& site, fused::Linear& linear)
{
    linear.weightGrad = gradientOf(site.weight), linear.biasGrad = gradientOf(site.bias);
    if (linear.rank > 0) {
        const auto low = *site.term->lowRank();
        linear.aGrad = gradientOf(low.a), linear.bGrad = gradientOf(low.b);
    }
}

bool siteTrains(const LinearSite& site)
{
    const auto moves = [](const Tensor& t) { return t.defined() && t.requires_grad(); };
    if (moves(site.weight) || moves(site.bias))
        return true;
    if (!site.term || !site.termEnabled)
        return false;
    const auto low = site.term->lowRank();
    return low->a.requires_grad() || low->b.requires_grad();
}

bool blockTrains(const ModelConfig& config, const Block& b)
{
    return std::ranges::any_of(fused::sitesOf(b),
                               [](const auto* site) { return site && siteTrains(*site); }) ||
           std::ranges::any_of(fused::normsOf(config, b), [](const auto* norm) {
               return norm && (norm->weight.requires_grad() ||
                               (norm->bias.defined() && norm->bias.requires_grad()));
           });
}

/// Where the backward pass adds up what trains in a block.
void addGradients(const ModelConfig& config, const Block& block, fused::Layer& layer)
{
    const auto sites = fused::sitesOf(block);
    for (std::size_t part = 0; part < sites.size(); ++part) {
        if (sites[part])
            addGradients(*sites[part], layer.linear[part]);
    }
    const auto norms = fused::normsOf(config, block);
    for (std::size_t place = 0; place < norms.size(); ++place) {
        if (!norms[place])
            continue;
        layer.norm[place].grad = gradientOf(norms[place]->weight);
        layer.norm[place].biasGrad = gradientOf(norms[place]->bias);
    }
}

/// One pass through the blocks, from its forward to its backward half.
struct FusedPass : torch::CustomClassHolder
{
    fused::Request request;
    Tensor input;
    std::array<FusedDecoder::Turns, 2> turns;
    std::unique_ptr<fused::Tape> tape;
    std::function<void(FusedPass&, const float*, float*)> backward;
    std::function<void(std::unique_ptr<fused::Tape>)> release;

    ~FusedPass() override
    {
        if (release)
            release(std::move(tape));
    }
};

struct FusedFunction : Function<FusedFunction>
{
    /// `anchor` makes the result need a gradient when only weights train.
    static Tensor forward(AutogradContext* ctx, const Tensor& input, const Tensor& anchor,
                          const Tensor& output, const c10::intrusive_ptr<FusedPass>& pass)
    {
        (void)input, (void)anchor;
        ctx->saved_data["pass"] = c10::IValue::make_capsule(pass);
        ctx->set_materialize_grads(false);
        return output;
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto pass =
            c10::static_intrusive_pointer_cast<FusedPass>(ctx->saved_data["pass"].toCapsule());
        if (!pass->tape)
            throw std::logic_error("the fused pass goes backward once");
        Tensor dInput;
        if (ctx->needs_input_grad(0))
            dInput = at::empty_like(pass->input);
        if (grads[0].defined()) {
            const auto dOutput = grads[0].contiguous();
            pass->backward(*pass, dOutput.const_data_ptr<float>(),
                           dInput.defined() ? dInput.data_ptr<float>() : nullptr);
        } else if (dInput.defined()) {
            dInput.zero_();
        }
        pass->release(std::move(pass->tape));
        return {dInput, Tensor(), Tensor(), Tensor()};
    }
};

} // namespace

FusedDecoder::FusedDecoder(Decoder& decoder)
    : m_state(std::make_shared<State>())
    , m_decoder(decoder)
{
}
FusedDecoder::~FusedDecoder() = default;

bool FusedDecoder::takes(const Tensor& input, const PassContext& pass) const
{
    return tensor::useKernels(input) && !pass.routerLogits && input.size(0) > 0 &&
           !m_decoder.blocks.empty() && fused::knows(m_decoder.config) &&
           std::ranges::all_of(m_decoder.blocks,
                               [&](const Block& b) { return blockFits(m_decoder.config, b); });
}

namespace {

/// What the passes of a decoder have in common; offsets, masks and wanted rows are added by the
/// caller.
fused::Request requestOf(const Decoder& decoder, const Tensor& input,
                         const std::array<FusedDecoder::Turns, 2>& turns)
{
    const auto& config = decoder.config;
    fused::Request request;
    request.shape = fused::shapeOf(config);
    request.input = dataOf(input);
    for (std::size_t number = 0; number < decoder.blocks.size(); ++number) {
        const auto& block = decoder.blocks[number];
        const auto& own = config.layer[number];
        fused::Layer layer;
        const auto sites = fused::sitesOf(block);
        for (std::size_t part = 0; part < sites.size(); ++part) {
            if (sites[part])
                layer.linear[part] = linearOf(*sites[part]);
        }
        layer.norm = fused::describeNorms(config, block);
        layer.scale = static_cast<float>(config.scaleOfLayer(static_cast<std::int64_t>(number)));
        layer.window = own.window;
        if (config.rotaryDim != 0 && own.rotary) {
            layer.cosine = dataOf(turns[own.local ? 1 : 0].cosine);
            layer.sine = dataOf(turns[own.local ? 1 : 0].sine);
        }
        request.layers.push_back(layer);
    }
    return request;
}

/// Says where the masks of a training pass come from.
void drawFor(fused::Request& request, const PassContext& context)
{
    request.places.assign(context.places.begin(), context.places.end());
    if (request.places.empty()) {
        request.places.resize(static_cast<std::size_t>(request.tokens()));
        std::iota(request.places.begin(), request.places.end(), fused::Index{0});
    }
    for (const auto row : request.wanted)
        request.wantedPlaces.push_back(request.places[static_cast<std::size_t>(row)]);
    request.masks = {context.dropout, context.draw, request.places.data()};
}

} // namespace

Tensor FusedDecoder::read(const Tensor& input, const Reading& reading,
                          const std::array<Turns, 2>& turns)
{
    const auto own = input.contiguous();
    auto request = requestOf(m_decoder, own, turns);
    const auto& shape = request.shape;
    const auto& offsets = request.offsets = reading.tokens.offsets;
    request.wanted.assign(reading.wanted.begin(), reading.wanted.end());
    for (std::size_t layer = 0; reading.earlier && layer < request.layers.size(); ++layer) {
        request.earlier.keys.push_back(reading.earlier->keys[layer].const_data_ptr<float>());
        request.earlier.values.push_back(reading.earlier->values[layer].const_data_ptr<float>());
    }
    request.earlier.length = reading.before();
    request.seen = [&](std::size_t layer, const fused::Heads& heads) {
        for (std::size_t d = 0; d < reading.slots.size(); ++d) {
            auto& cache = *reading.into;
            const auto start = reading.slots[d] * cache.maxLength() + reading.before();
            for (auto t = offsets[d]; t < offsets[d + 1]; ++t) {
                const auto token = fused::headsFrom(shape, heads, t);
                const auto to = (start + t - offsets[d]) * shape.keys();
                shape.copyKeys(token.k, cache.keys[layer].data_ptr<float>() + to);
                shape.copyKeys(token.v, cache.values[layer].data_ptr<float>() + to);
            }
        }
    };
    auto tape = m_state->take();
    tape->layOut(request, /*keep=*/false);
    const Tensor output = at::empty({request.outputs(), shape.hidden}, own.options());
    m_state->stack.forward(request, *tape, output.data_ptr<float>());
    m_state->giveBack(std::move(tape));
    return output;
}

bool FusedDecoder::decodes(std::size_t slots) const
{
    // More rows are a matter for the matrix kernels, and these read weights row by row.
    return static_cast<std::int64_t>(slots) <= tensor::kFewRows &&
           std::ranges::all_of(m_decoder.blocks, [](const Block& b) {
               return std::ranges::all_of(fused::sitesOf(b), [](const auto* site) {
                   return !site || site->packed || site->weight.is_contiguous();
               });
           });
}

Tensor FusedDecoder::decode(const Tensor& input, const std::array<Turns, 2>& turns, KvCache& cache,
                            std::span<const std::int64_t> slots)
{
    const auto own = input.contiguous();
    const auto request = requestOf(m_decoder, own, turns);
    fused::CacheRows rows;
    for (std::size_t layer = 0; layer < cache.keys.size(); ++layer) {
        rows.keys.push_back(cache.keys[layer].data_ptr<float>());
        rows.values.push_back(cache.values[layer].data_ptr<float>());
    }
    rows.places = cache.maxLength();
    for (const auto slot : slots) {
        rows.slots.push_back(slot);
        rows.lengths.push_back(cache.lengths[static_cast<std::size_t>(slot)]);
    }
    const Tensor output = at::empty_like(own);
    m_state->stack.decode(request, rows, output.data_ptr<float>());
    return output;
}

Tensor FusedDecoder::run(const Tensor& input, const PackedTokens& tokens,
                         const PassContext& context, const std::array<Turns, 2>& turns)
{
    auto pass = c10::make_intrusive<FusedPass>();
    auto& request = pass->request;
    pass->input = input.detach().contiguous();
    pass->turns = turns;
    request = requestOf(m_decoder, pass->input, turns);
    request.offsets = tokens.offsets;
    request.wanted.assign(context.wanted.begin(), context.wanted.end());
    if (context.training && context.dropout)
        drawFor(request, context);
    const bool trains =
        at::GradMode::is_enabled() &&
        (input.requires_grad() || std::ranges::any_of(m_decoder.blocks, [&](const Block& b) {
             return blockTrains(m_decoder.config, b);
         }));
    const auto recomputed =
        std::min<std::int64_t>(context.recomputedLayers, std::ssize(request.layers) - 1);
    request.recomputed = static_cast<std::size_t>(std::max<std::int64_t>(0, recomputed));
    pass->tape = m_state->take();
    pass->tape->layOut(request, trains);
    const auto state = m_state;
    pass->release = [state](std::unique_ptr<fused::Tape> tape) {
        state->giveBack(std::move(tape));
    };
    const Tensor output =
        at::empty({request.outputs(), request.shape.hidden}, pass->input.options());
    state->stack.forward(request, *pass->tape, output.data_ptr<float>());
    if (!trains)
        return output;
    pass->backward = [this, state](FusedPass& own, const float* dOutput, float* dInput) {
        for (std::size_t number = 0; number < own.request.layers.size(); ++number)
            addGradients(m_decoder.config, m_decoder.blocks[number], own.request.layers[number]);
        state->stack.backward(own.request, *own.tape, dOutput, dInput);
    };
    const auto anchor = at::empty({0}, at::TensorOptions().dtype(at::kFloat)).requires_grad_(true);
    return FusedFunction::apply(input, anchor, output, pass);
}

} // namespace fettle::model
