#include "golden.h"
#include "methods/method.h"
#include "model/decoder.h"
#include "model/load.h"
#include "objectives/objective.h"
#include "recipes/settings.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <QTest>
#include <cmath>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

using namespace fettle;
using namespace fettle::tests;

namespace {

struct Case
{
    const char* name;
    const char* method = "full";
    std::int64_t rank = 4;
    double dropout = 0;
    std::vector<std::string> targets = {"all-linear"};
    std::int64_t window = 0;
    bool biases = false;
    int labelEvery = 1; ///< 1: all tokens are taught, 5: every fifth
    std::vector<std::int64_t> lengths = {5, 1, 40, 333, 17};
};

const std::vector<Case> kCases = {
    {"full"},
    {"full, few labels", "full", 4, 0, {}, 0, false, 7},
    {"full, biases", "full", 4, 0, {}, 0, true},
    {"full, window", "full", 4, 0, {}, 9},
    {"lora", "lora", 4},
    {"lora, few labels", "lora", 16, 0, {"all-linear"}, 0, false, 9},
    {"lora, rank beyond a panel", "lora", 20, 0, {"q_proj", "o_proj", "gate_proj", "down_proj"}},
    {"lora, dropout", "lora", 8, 0.3},
    {"lora, dropout, few labels", "lora", 20, 0.3, {"q_proj", "up_proj", "down_proj"}, 0, true, 4},
    {"lora, queries and values", "lora", 4, 0.1, {"q_proj", "v_proj"}},
    {"lora, keys alone", "lora", 4, 0, {"k_proj"}},
    {"lora, down alone in the last layer", "lora", 4, 0, {"layers.1.mlp.down_proj"}},
    {"lora, up and output", "lora", 4, 0, {"up_proj", "o_proj"}, 5, true, 3},
    {"one token", "lora", 4, 0, {"all-linear"}, 0, false, 1, {2}},
};

std::unique_ptr<model::Decoder> decoderOf(const Case& c)
{
    auto files = model::ModelFiles::open(sourceFolder() / "tests/fixtures/tiny_llama").value();
    auto decoder = model::loadDecoder(files, c10::kCPU, at::kFloat).value();
    for (auto& layer : decoder->config.layer)
        layer.window = c.window;
    at::manual_seed(3);
    for (auto& block : decoder->blocks) {
        for (auto* site : {&block.q, &block.k, &block.v, &block.o, &block.down}) {
            if (c.biases)
                site->bias = at::randn({site->matrix().size(0)}) * 0.1;
        }
    }
    return decoder;
}

objectives::Batch batchOf(const Case& c, std::int64_t vocab)
{
    objectives::Batch batch;
    const Rng rng(9, "words");
    for (std::size_t d = 0; d < c.lengths.size(); ++d) {
        std::vector<std::int32_t> ids;
        std::vector<std::uint8_t> trained;
        for (std::int64_t t = 0; t < c.lengths[d]; ++t) {
            ids.push_back(static_cast<std::int32_t>(rng.bits(d, static_cast<std::uint64_t>(t)) %
                                                    static_cast<std::uint64_t>(vocab)));
            trained.push_back(t > 0 && t % c.labelEvery == 0);
        }
        batch.add(ids, trained, static_cast<std::int64_t>(d));
    }
    return batch;
}

struct Outcome
{
    double loss = 0;
    std::vector<std::pair<std::string, at::Tensor>> gradients;
};

/// Loss and gradients of one micro-batch, twice over so that gradients add up.
Outcome outcomeOf(const Case& c, bool reference)
{
    std::optional<tensor::ReferenceOps> slow;
    if (reference)
        slow.emplace();
    auto decoder = decoderOf(c);
    ParamValues values(recipes::trainingSettings());
    values.set("method", c.method).value();
    if (std::string(c.method) == "lora") {
        values.set("lora.rank", c.rank).value();
        values.set("lora.dropout", c.dropout).value();
        values.set("lora.targets", Json(c.targets)).value();
    }
    auto attached = methods::makeMethod(c.method)
                        .value()
                        ->attach(*decoder, values, Rng(1, "adapter init"))
                        .value();
    at::manual_seed(5);
    for (const auto& each :
         attached->trainable()) { // B starts at zero, which would hide A's gradient
        const at::NoGradGuard noGrad;
        if (each.name.ends_with("lora_B.weight"))
            each.value.copy_(at::randn(each.value.sizes()) * 0.05);
    }
    auto objective = objectives::makeObjective("sft").value();
    const auto batch = batchOf(c, decoder->config.vocab);
    const Rng dropout(7, "dropout");
    Outcome outcome;
    for (std::uint64_t draw : {3u, 4u}) {
        objectives::TrainContext context{*decoder, {true, &dropout, draw}};
        const auto places = batch.places();
        context.pass.places = places;
        auto loss = objective->compute(context, batch, objective->measure(batch));
        loss.value.backward();
        outcome.loss += loss.sum;
    }
    for (const auto& each : attached->trainable()) {
        const auto grad = each.value.grad();
        outcome.gradients.emplace_back(each.name,
                                       grad.defined() ? grad.clone() : at::zeros_like(each.value));
    }
    return outcome;
}

} // namespace

/// The blocks as one hand-written pass against the readable operations, for every kind of site.
class TestFused : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void equalsTheReadablePath_data()
    {
        QTest::addColumn<int>("number");
        for (std::size_t i = 0; i < kCases.size(); ++i)
            QTest::newRow(kCases[i].name) << static_cast<int>(i);
    }
    void equalsTheReadablePath()
    {
        QFETCH(int, number);
        const auto& c = kCases[static_cast<std::size_t>(number)];
        const auto fused = outcomeOf(c, false), readable = outcomeOf(c, true);
        QVERIFY2(near(fused.loss, readable.loss, 1e-5, 0),
                 qPrintable(QString("%1 %2").arg(fused.loss).arg(readable.loss)));
        QCOMPARE(fused.gradients.size(), readable.gradients.size());
        for (std::size_t i = 0; i < fused.gradients.size(); ++i) {
            const auto& [name, grad] = fused.gradients[i];
            const auto& expected = readable.gradients[i].second;
            const double size = expected.abs().max().item<double>();
            const double difference = (grad - expected).abs().max().item<double>();
            QVERIFY2(
                difference <= 1e-4 * size + 1e-6,
                qPrintable(
                    QString("%1: %2 at a size of %3").arg(name.c_str()).arg(difference).arg(size)));
        }
    }

    void isTheSameForAnyNumberOfThreads()
    {
        const auto before = at::get_num_threads();
        at::set_num_threads(1);
        const auto one = outcomeOf(kCases[8], false);
        at::set_num_threads(3);
        const auto three = outcomeOf(kCases[8], false);
        at::set_num_threads(before);
        QCOMPARE(one.loss, three.loss);
        for (std::size_t i = 0; i < one.gradients.size(); ++i)
            QVERIFY2(at::equal(one.gradients[i].second, three.gradients[i].second),
                     one.gradients[i].first.c_str());
    }

    void twoGraphsAtOnce()
    {
        auto decoder = decoderOf(kCases[0]);
        decoder->blocks[0].up.weight = decoder->blocks[0].up.weight.clone().set_requires_grad(true);
        auto& weight = decoder->blocks[0].up.weight;
        model::PackedTokens a, b;
        a.add(std::vector<std::int32_t>{3, 4, 5, 6});
        b.add(std::vector<std::int32_t>{9, 8, 7});
        const auto gradient = [&](const at::Tensor& sum) {
            weight.mutable_grad().reset();
            sum.backward();
            return weight.grad().clone();
        };
        const auto apart = gradient(decoder->hidden(a).sum()) + gradient(decoder->hidden(b).sum());
        const auto first = decoder->hidden(a).sum(), second = decoder->hidden(b).sum();
        QVERIFY((gradient(first + second) - apart).abs().max().item<double>() < 1e-4);
    }

    void wantedRowsAreThoseOfAll()
    {
        const at::NoGradGuard noGrad;
        auto decoder = decoderOf(kCases[0]);
        model::PackedTokens tokens;
        tokens.add(std::vector<std::int32_t>{3, 4, 5, 6, 11, 12, 13});
        tokens.add(std::vector<std::int32_t>{9, 8, 7});
        const std::vector<std::int64_t> rows = {8, 2, 2};
        model::PassContext some;
        some.wanted = rows;
        const auto all = decoder->hidden(tokens);
        for (const bool reference : {false, true}) {
            std::optional<tensor::ReferenceOps> slow;
            if (reference)
                slow.emplace();
            const auto picked = decoder->hidden(tokens, some);
            QVERIFY((picked - all.index_select(0, at::tensor(rows))).abs().max().item<double>() <
                    1e-5);
        }
    }

    void kernelsMultiply_data()
    {
        QTest::addColumn<QString>("variant");
        for (const char* name : {"baseline", "AVX2", "AVX-512"})
            QTest::newRow(name) << name;
    }
    /// All sizes of edges, both orders of the left side, sums of two products, against double sums.
    void kernelsMultiply()
    {
        QFETCH(QString, variant);
        const auto* kernels = tensor::cpuKernelsNamed(variant.toUtf8().constData());
        if (!kernels)
            QSKIP("this processor has not these instructions");
        at::manual_seed(1);
        for (const std::int64_t m : {1, 2, 5, 6, 7, 13, 100}) {
            for (const std::int64_t n : {1, 15, 16, 17, 40}) {
                for (const std::int64_t k : {1, 3, 320, 321, 700}) {
                    const auto a = at::randn({m, k}), aT = at::randn({k, m}), b = at::randn({k, n}),
                               c = at::randn({m, n});
                    const auto panels = (n + 15) / 16;
                    std::vector<float> packed(static_cast<std::size_t>(panels * 16 * k));
                    kernels->packPanels(b.const_data_ptr<float>(), n, 1, k, n, 2.0f, packed.data(),
                                        k * 16);
                    const tensor::GemmPart parts[] = {
                        {a.const_data_ptr<float>(), k, 1, packed.data(), k * 16, k},
                        {aT.const_data_ptr<float>(), 1, m, packed.data(), k * 16, k}};
                    const auto product =
                        at::mm(a.to(at::kDouble) + aT.t().to(at::kDouble), b.to(at::kDouble)) * 2;
                    for (const bool add : {false, true}) {
                        auto out = c.clone();
                        kernels->gemm(parts, 2, m, n, out.data_ptr<float>(), n, add);
                        const auto expected = add ? product + c : product;
                        const double difference = (out - expected).abs().max().item<double>();
                        QVERIFY2(
                            difference < 3e-5 * std::sqrt(static_cast<double>(k)),
                            qPrintable(
                                QString("%1 x %2 x %3: %4").arg(m).arg(n).arg(k).arg(difference)));
                    }
                }
            }
        }
    }

    void kernelsMultiplyFewRows_data() { kernelsMultiply_data(); }
    void kernelsMultiplyFewRows()
    {
        QFETCH(QString, variant);
        const auto* kernels = tensor::cpuKernelsNamed(variant.toUtf8().constData());
        if (!kernels)
            QSKIP("this processor has not these instructions");
        at::manual_seed(4);
        for (const std::int64_t m : {1, 2, 3, 4, 7, 9}) {
            for (const std::int64_t n : {1, 2, 5, 13, 100}) {
                for (const std::int64_t k : {1, 8, 37, 700}) {
                    const auto x = at::randn({m, k}), w = at::randn({n, k}),
                               y = at::zeros({m, n + 3});
                    kernels->fewRows(x.const_data_ptr<float>(), w.const_data_ptr<float>(),
                                     y.data_ptr<float>(), m, n, k, n + 3);
                    const auto expected = at::mm(x.to(at::kDouble), w.to(at::kDouble).t());
                    QVERIFY((y.narrow(1, 0, n) - expected).abs().max().item<double>() < 1e-4);
                    QCOMPARE(y.narrow(1, n, 3).abs().max().item<double>(), 0.0);
                }
            }
        }
    }

    void kernelsAttend_data() { kernelsMultiply_data(); }
    /// Forward and backward of one group of heads against autograd in float64.
    void kernelsAttend()
    {
        QFETCH(QString, variant);
        const auto* kernels = tensor::cpuKernelsNamed(variant.toUtf8().constData());
        if (!kernels)
            QSKIP("this processor has not these instructions");
        at::manual_seed(2);
        for (const std::int64_t length : {1, 16, 47, 48, 49, 130}) {
            for (const std::int64_t window : {0, 1, 20}) {
                const std::int64_t group = 3, dim = 24;
                const auto options = at::TensorOptions().dtype(at::kDouble);
                const auto q = at::randn({length, group, dim}, options).set_requires_grad(true),
                           k = at::randn({length, dim}, options).set_requires_grad(true);
                const auto v = at::randn({length, dim}, options).set_requires_grad(true),
                           dOut = at::randn({length, group, dim});
                auto scores = at::einsum("qgd,kd->gqk", {q, k}) * 0.2;
                const auto rows = at::arange(length).unsqueeze(1),
                           columns = at::arange(length).unsqueeze(0);
                auto hidden = columns > rows;
                if (window > 0)
                    hidden = hidden | (columns <= rows - window);
                scores = scores.masked_fill(hidden, -INFINITY);
                const auto out = at::einsum("gqk,kd->qgd", {at::softmax(scores, -1), v});
                (out * dOut).sum().backward();
                const auto qf = q.detach().to(at::kFloat), kf = k.detach().to(at::kFloat),
                           vf = v.detach().to(at::kFloat);
                const auto outf = at::empty({length, group, dim}), lse = at::empty({group, length}),
                           dq = at::empty_like(outf);
                const auto dk = at::empty({length, dim}), dv = at::empty({length, dim}),
                           dOutf = dOut.contiguous();
                const tensor::AttentionHead head{qf.const_data_ptr<float>(),
                                                 kf.const_data_ptr<float>(),
                                                 vf.const_data_ptr<float>(),
                                                 outf.data_ptr<float>(),
                                                 lse.data_ptr<float>(),
                                                 group * dim,
                                                 dim,
                                                 length,
                                                 length,
                                                 dim,
                                                 group,
                                                 window,
                                                 0.2f};
                std::vector<float> scratch(
                    static_cast<std::size_t>(kernels->attentionScratch(head)));
                kernels->attention(head, scratch.data());
                kernels->attentionBackward(head,
                                           {dOutf.const_data_ptr<float>(), dq.data_ptr<float>(),
                                            dk.data_ptr<float>(), dv.data_ptr<float>()},
                                           scratch.data());
                const auto close = [](const at::Tensor& x, const at::Tensor& y) {
                    return (x - y).abs().max().item<double>() < 2e-5;
                };
                QVERIFY(close(outf, out));
                QVERIFY(close(dq, q.grad()));
                QVERIFY(close(dk, k.grad()));
                QVERIFY(close(dv, v.grad()));
            }
        }
    }
};

QTEST_APPLESS_MAIN(TestFused)
#include "test_fused.moc"
