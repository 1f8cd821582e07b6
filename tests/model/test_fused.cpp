#include "fused_help.h"
#include "model/load.h"
#include "tensor/kernels/cpu_kernels.h"

#include <ATen/Parallel.h>
#include <QTest>
#include <cmath>

using namespace fettle;
using namespace fettle::tests;

namespace {

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

Outcome outcome(const Case& c, bool reference) { return outcomeOf(c, decoderOf(c), reference); }

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
        QCOMPARE(differenceOf(outcome(c, false), outcome(c, true)), std::string());
    }

    void isTheSameForAnyNumberOfThreads()
    {
        const auto before = at::get_num_threads();
        at::set_num_threads(1);
        const auto one = outcome(kCases[8], false);
        at::set_num_threads(3);
        const auto three = outcome(kCases[8], false);
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

    /// Without a gradient the layers share their memory; the last one has fewer rows.
    void lastLayerLeavesTheOthersAlone()
    {
        const at::NoGradGuard noGrad;
        auto decoder = decoderOf(kCases[0]);
        ParamValues values(recipes::trainingSettings());
        values.set("lora.rank", 4).value();
        const auto attached =
            methods::makeMethod("lora").value()->attach(*decoder, values, Rng(1, "x")).value();
        for (const auto& each : attached->trainable())
            each.value.copy_(at::arange(each.value.numel()).sin().mul(0.1).view_as(each.value));
        model::PackedTokens tokens;
        std::vector<std::int64_t> rows;
        for (int d = 0; d < 12; ++d) {
            std::vector<std::int32_t> ids;
            for (int t = 0; t < 50 + d; ++t)
                ids.push_back((d * 31 + t * 7) % 90);
            tokens.add(ids);
            rows.push_back(tokens.size() - 2);
        }
        model::PassContext some;
        some.wanted = rows;
        const auto all = decoder->hidden(tokens).index_select(0, at::tensor(rows));
        for (int again = 0; again < 50; ++again)
            QVERIFY((decoder->hidden(tokens, some) - all).abs().max().item<double>() < 1e-5);
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
                for (const float softcap : {0.0F, 0.7F})
                    attendsAs(*kernels, length, window, softcap);
            }
        }
    }

    void kernelsAttendBehindEarlierKeys_data() { kernelsMultiply_data(); }
    /// The last queries of a document on its first keys as earlier ones and on the others.
    void kernelsAttendBehindEarlierKeys()
    {
        QFETCH(QString, variant);
        const auto* kernels = tensor::cpuKernelsNamed(variant.toUtf8().constData());
        if (!kernels)
            QSKIP("this processor has not these instructions");
        at::manual_seed(6);
        const std::int64_t length = 120, group = 2, dim = 24;
        for (const std::int64_t first : {1, 16, 37}) {
            for (const std::int64_t window : {0, 30, 200}) {
                const auto q = at::randn({length, group, dim}), k = at::randn({length, dim}),
                           v = at::randn({length, dim});
                const auto all = at::empty_like(q), own = at::empty_like(q),
                           lse = at::empty({group, length});
                const auto headFrom = [&](const at::Tensor& out, std::int64_t from) {
                    return tensor::AttentionHead{q.const_data_ptr<float>() + from * group * dim,
                                                 k.const_data_ptr<float>() + from * dim,
                                                 v.const_data_ptr<float>() + from * dim,
                                                 out.data_ptr<float>() + from * group * dim,
                                                 lse.data_ptr<float>(),
                                                 group * dim,
                                                 dim,
                                                 group * dim,
                                                 length,
                                                 length - from,
                                                 dim,
                                                 group,
                                                 window,
                                                 0.2f,
                                                 1.5f};
                };
                const auto room = [](std::int64_t count) {
                    return static_cast<std::size_t>((count + 15) / 16 * 16);
                };
                std::vector<float> keys(room(first) * dim), values(room(dim) * room(first));
                kernels->packPanels(k.const_data_ptr<float>(), 1, dim, dim, first, 1, keys.data(),
                                    dim * 16);
                kernels->packPanels(v.const_data_ptr<float>(), dim, 1, first, dim, 1,
                                    values.data(), first * 16);
                std::vector<float> scratch(static_cast<std::size_t>(
                    kernels->attentionScratch(headFrom(all, 0), first)));
                kernels->attention(headFrom(all, 0), {}, scratch.data());
                kernels->attention(headFrom(own, first), {keys.data(), values.data(), first},
                                   scratch.data());
                QVERIFY((all.narrow(0, first, length - first) -
                         own.narrow(0, first, length - first))
                            .abs()
                            .max()
                            .item<double>() < 1e-5);
            }
        }
    }

private:
    static void attendsAs(const tensor::CpuKernels& kernels, std::int64_t length,
                          std::int64_t window, float softcap)
    {
        const std::int64_t group = 3, dim = 24;
        const auto options = at::TensorOptions().dtype(at::kDouble);
        const auto q = at::randn({length, group, dim}, options).set_requires_grad(true),
                   k = at::randn({length, dim}, options).set_requires_grad(true);
        const auto v = at::randn({length, dim}, options).set_requires_grad(true),
                   dOut = at::randn({length, group, dim});
        auto scores = at::einsum("qgd,kd->gqk", {q, k}) * 0.2;
        if (softcap > 0)
            scores = at::tanh(scores / softcap) * softcap;
        const auto rows = at::arange(length).unsqueeze(1), columns = at::arange(length).unsqueeze(0);
        auto hidden = columns > rows;
        if (window > 0)
            hidden = hidden | (columns <= rows - window);
        scores = scores.masked_fill(hidden, -INFINITY);
        const auto out = at::einsum("gqk,kd->qgd", {at::softmax(scores, -1), v});
        (out * dOut).sum().backward();
        const auto qf = q.detach().to(at::kFloat), kf = k.detach().to(at::kFloat),
                   vf = v.detach().to(at::kFloat);
        // What comes out lies wider apart than the queries.
        const std::int64_t wide = group * dim + 7;
        const auto outf = at::zeros({length, wide}), dOutf = at::zeros({length, wide}),
                   lse = at::empty({group, length}), dq = at::empty({length, group, dim});
        dOutf.narrow(1, 0, group * dim).copy_(dOut.view({length, group * dim}));
        const auto dk = at::empty({length, dim}), dv = at::empty({length, dim});
        const tensor::AttentionHead head{qf.const_data_ptr<float>(),
                                         kf.const_data_ptr<float>(),
                                         vf.const_data_ptr<float>(),
                                         outf.data_ptr<float>(),
                                         lse.data_ptr<float>(),
                                         group * dim,
                                         dim,
                                         wide,
                                         length,
                                         length,
                                         dim,
                                         group,
                                         window,
                                         0.2f,
                                         softcap};
        std::vector<float> scratch(static_cast<std::size_t>(kernels.attentionScratch(head, 0)));
        kernels.attention(head, {}, scratch.data());
        kernels.attentionBackward(head,
                                  {dOutf.const_data_ptr<float>(), dq.data_ptr<float>(),
                                   dk.data_ptr<float>(), dv.data_ptr<float>()},
                                  scratch.data());
        const auto close = [](const at::Tensor& x, const at::Tensor& y) {
            return (x - y).abs().max().item<double>() < 2e-5;
        };
        QVERIFY(close(outf.narrow(1, 0, group * dim), out.view({length, group * dim})));
        QVERIFY(close(dq, q.grad()));
        QVERIFY(close(dk, k.grad()));
        QVERIFY(close(dv, v.grad()));
    }
};

QTEST_APPLESS_MAIN(TestFused)
#include "test_fused.moc"
