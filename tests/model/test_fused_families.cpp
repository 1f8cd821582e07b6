#include "family_help.h"
#include "fused_help.h"
#include "model/fused/known.h"
#include "random_model.h"
#include "tensor/recompute.h"

#include <ATen/Parallel.h>
#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::tests;

namespace {

const std::vector<std::string> kFamilies = {
    "qwen3",         "gemma",    "gemma2",      "gemma3_text", "qwen2_window",
    "granite",       "olmo2",    "phi3",        "phi3_longrope", "smollm3",
    "mistral",       "gpt2",     "gpt2_scaled", "gpt_bigcode", "gpt_bigcode_heads",
    "gpt_neo",       "gpt_neox", "gpt_neox_sequential", "phi"};

const std::vector<std::int64_t> kLengths = {5, 1, 40, 150, 17};

const std::vector<Case> kWays = {
    {"full", "full", 4, 0, {}, 0, false, 1, kLengths},
    {"full, few labels", "full", 4, 0, {}, 0, false, 6, kLengths},
    {"lora", "lora", 4, 0, {"all-linear"}, 0, false, 1, kLengths},
    {"lora, dropout, few labels", "lora", 18, 0.3, {"all-linear"}, 0, false, 5, kLengths},
};

/// The family's small model, wider than its fixture so that panels and blocks of rows have edges.
Json configOf(const std::string& family)
{
    auto config = readJsonFile(familyFolder(family) / "config.json").value();
    const auto set = [&](const char* key, std::int64_t value) {
        if (config.contains(key) && config[key].is_number())
            config[key] = value;
    };
    if (family == "phi3_longrope") { // its factors fit these heads alone
        set("max_position_embeddings", 256);
        return config;
    }
    const bool parts = family.starts_with("gpt_neox") || family == "phi"; // of heads turn
    for (const char* key : {"hidden_size", "n_embd"})
        set(key, parts ? 96 : 56);
    for (const char* key : {"max_position_embeddings", "n_positions"})
        set(key, 256);
    set("head_dim", 20);
    set("intermediate_size", 90);
    return config;
}

/// Of the narrowest matrix.
std::int64_t largestRank(const std::string& family) { return family == "phi3_longrope" ? 16 : 18; }

} // namespace

/// Every family's blocks as one hand-written pass against the readable operations.
class TestFusedFamilies : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        for (const auto& family : kFamilies)
            QVERIFY2(writeRandomModel(folderOf(family), configOf(family)), family.c_str());
    }

    void equalsTheReadablePath_data() { families(); }
    void equalsTheReadablePath()
    {
        QFETCH(std::string, family);
        for (auto way : kWays) {
            way.rank = std::min(way.rank, largestRank(family));
            QCOMPARE(std::string(way.name) + differenceOf(outcomeOf(way, decoder(family), false),
                                                          outcomeOf(way, decoder(family), true)),
                     std::string(way.name));
        }
    }

    void isTheSameForAnyNumberOfThreads_data() { families(); }
    void isTheSameForAnyNumberOfThreads()
    {
        QFETCH(std::string, family);
        const auto before = at::get_num_threads();
        auto way = kWays[3];
        way.rank = std::min(way.rank, largestRank(family));
        at::set_num_threads(1);
        const auto one = outcomeOf(way, decoder(family), false);
        at::set_num_threads(3);
        const auto three = outcomeOf(way, decoder(family), false);
        at::set_num_threads(before);
        QCOMPARE(one.loss, three.loss);
        for (std::size_t i = 0; i < one.gradients.size(); ++i)
            QVERIFY2(at::equal(one.gradients[i].second, three.gradients[i].second),
                     one.gradients[i].first.c_str());
    }

    void madeAgainIsTheSame_data() { families(); }
    /// Five layers of which none, some or all but the last keep nothing but their input.
    void madeAgainIsTheSame()
    {
        QFETCH(std::string, family);
        for (auto way : kWays) {
            way.rank = std::min(way.rank, largestRank(family));
            const auto kept = outcomeOf(way, deep(family), false);
            for (const std::int64_t recomputed : {3, 9}) {
                way.recomputed = recomputed;
                const auto again = outcomeOf(way, deep(family), false);
                QCOMPARE(again.loss, kept.loss);
                for (std::size_t i = 0; i < kept.gradients.size(); ++i)
                    QVERIFY2(at::equal(again.gradients[i].second, kept.gradients[i].second),
                             kept.gradients[i].first.c_str());
            }
        }
    }

    /// Once for the value, once for its gradients; nothing where none are asked for.
    void recomputedWorkIsDoneTwice()
    {
        const auto x = at::arange(6, at::kFloat).set_requires_grad(true);
        const auto w = at::full({6}, 2.0F).set_requires_grad(true);
        int times = 0;
        const auto work = [&](const at::Tensor& in) {
            ++times;
            return (in * w).sin();
        };
        (tensor::recomputed(work, tensor::recomputed(work, x)) * x).sum().backward();
        QCOMPARE(times, 4);
        const auto ofX = x.grad(), ofW = w.grad();
        x.mutable_grad().reset(), w.mutable_grad().reset();
        (work(work(x)) * x).sum().backward();
        QVERIFY(at::allclose(ofX, x.grad()) && at::allclose(ofW, w.grad()));

        w.mutable_grad().reset();
        tensor::recomputed(work, at::ones({6})).sum().backward(); // an input without a gradient
        QVERIFY(at::allclose(w.grad(), at::cos(at::full({6}, 2.0F))));
        const at::NoGradGuard noGrad;
        QVERIFY(!tensor::recomputed(work, x).requires_grad());
    }

    void readableMadeAgainIsTheSame_data()
    {
        families();
        for (const char* family : {"mixtral", "qwen3_moe"})
            QTest::newRow(family) << std::string(family);
    }
    /// Autograd's own pass through the layers, of which the first are made again.
    void readableMadeAgainIsTheSame()
    {
        QFETCH(std::string, family);
        if (!std::filesystem::exists(folderOf(family)))
            QVERIFY(writeRandomModel(folderOf(family), configOf(family)));
        for (auto way : kWays) {
            way.rank = std::min(way.rank, largestRank(family));
            const auto outcome = [&] {
                auto model = read(family);
                model->config.experts.balance = 0; // with it all is kept
                return outcomeOf(way, std::move(model), true);
            };
            const auto kept = outcome();
            way.recomputed = 9;
            const auto again = outcome();
            QCOMPARE(again.loss, kept.loss);
            for (std::size_t i = 0; i < kept.gradients.size(); ++i)
                QVERIFY2(at::equal(again.gradients[i].second, kept.gradients[i].second),
                         kept.gradients[i].first.c_str());
        }
    }

    void writesTheSame_data() { families(); }
    /// Two prompts of different lengths, read and written on together, with an add-on in place.
    void writesTheSame()
    {
        QFETCH(std::string, family);
        const at::NoGradGuard noGrad;
        const auto ours = states(family, false), readable = states(family, true);
        const double size = readable.abs().max().item<double>();
        const double difference = (ours - readable).abs().max().item<double>();
        QVERIFY2(difference <= 2e-5 * size,
                 qPrintable(QString("%1 at a size of %2").arg(difference).arg(size)));
    }

private:
    void families()
    {
        QTest::addColumn<std::string>("family");
        for (const auto& family : kFamilies)
            QTest::newRow(family.c_str()) << family;
    }
    std::filesystem::path folderOf(const std::string& family) const
    {
        return std::filesystem::path(m_place.path().toStdString()) / family;
    }
    std::unique_ptr<model::Decoder> read(const std::string& family) const
    {
        return model::loadDecoder(model::ModelFiles::open(folderOf(family)).value(), c10::kCPU, at::kFloat).value();
    }
    std::unique_ptr<model::Decoder> decoder(const std::string& family) const
    {
        auto decoder = read(family);
        if (!model::fused::knows(decoder->config))
            qFatal("%s is not known", family.c_str());
        return decoder;
    }

    /// Five layers: those of the model, several times.
    std::unique_ptr<model::Decoder> deep(const std::string& family) const
    {
        auto model = decoder(family);
        const auto layers = model->blocks.size();
        while (model->blocks.size() < 5) {
            const auto from = model->blocks.size() % layers;
            model->blocks.push_back(model::Block(model->blocks[from]));
            model->config.layer.push_back(model->config.layer[from]);
        }
        model->config.layers = 5;
        return model;
    }

    /// What prefill and eight rounds of decoding give; the greedy choices decide what is read on.
    at::Tensor states(const std::string& family, bool reference) const
    {
        std::optional<tensor::ReferenceOps> slow;
        if (reference)
            slow.emplace();
        auto model = decoder(family);
        ParamValues values(recipes::trainingSettings());
        values.set("lora.rank", 5).value();
        const auto attached =
            methods::makeMethod("lora").value()->attach(*model, values, Rng(1, "init"));
        at::manual_seed(5);
        for (const auto& each : (*attached)->trainable())
            each.value.copy_(at::randn(each.value.sizes()) * 0.05);
        model::PackedTokens tokens;
        tokens.add(std::vector<std::int32_t>{3, 4, 5, 6, 11, 12, 13, 3, 9});
        tokens.add(std::vector<std::int32_t>{9, 8, 7});
        auto cache = model->makeCache(3, 40);
        const std::vector<std::int64_t> slots = {2, 0};
        std::vector<at::Tensor> all = {model->prefill(tokens, cache, slots)};
        auto last = all[0].index_select(0, at::tensor({8, 11}));
        for (int round = 0; round < 8; ++round) {
            const auto next = model->logits(last).argmax(-1);
            last = model->decode(std::vector<std::int64_t>{next[0].item<std::int64_t>(),
                                                           next[1].item<std::int64_t>()},
                                 cache, slots);
            all.push_back(last);
        }
        return at::cat(all);
    }

    QTemporaryDir m_place;
};

QTEST_APPLESS_MAIN(TestFusedFamilies)
#include "test_fused_families.moc"
