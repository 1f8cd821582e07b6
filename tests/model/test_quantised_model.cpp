#include "base/atomic_file.h"
#include "fused_help.h"
#include "model/import/weight_bytes.h"
#include "model/load.h"
#include "tensor/quantised_ops.h"
#include "tensor/torch_files.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::tests;
using tensor::WeightKind;

namespace {

struct Way
{
    WeightKind kind;
    Case of;
};

const std::vector<Way> kWays = {
    {WeightKind::Int8, {"int8", "lora"}},
    {WeightKind::Int8,
     {"int8, dropout, few labels", "lora", 4, 0.3, {"q_proj", "up_proj", "down_proj"}, 0, true, 4}},
    {WeightKind::Nf4, {"nf4", "lora"}},
    {WeightKind::Nf4,
     {"nf4, dropout, few labels", "lora", 4, 0.3, {"v_proj", "o_proj", "gate_proj"}, 0, true, 4}},
};

/// Packed, or `dense`: in float32 with the values that the packed one decodes to.
std::unique_ptr<model::Decoder> decoderOf(WeightKind kind, bool dense, bool biases = false)
{
    auto files = model::ModelFiles::open(sourceFolder() / "tests/fixtures/tiny_llama").value();
    auto decoder = model::loadDecoder(files, c10::kCPU, at::kFloat, kind).value();
    at::manual_seed(3);
    for (auto* site : decoder->sites()) {
        if (biases)
            site->bias = at::randn({site->out()}) * 0.1;
        if (dense) {
            site->weight = site->matrix();
            site->packed.reset();
        }
    }
    if (dense && decoder->packedEmbedding) {
        decoder->embedding = tensor::decoded(*decoder->packedEmbedding);
        decoder->packedEmbedding.reset();
        decoder->tie();
    }
    return decoder;
}

/// The tiny model with its values rounded to 16 bits and stored so.
model::ModelFiles halfFolder(const QTemporaryDir& folder, at::ScalarType type, bool tied)
{
    const auto source = sourceFolder() / "tests/fixtures/tiny_llama";
    const std::filesystem::path target = folder.path().toStdString();
    auto config = readJsonFile(source / "config.json").value();
    tensor::NamedTensors halves;
    for (auto& [name, value] : tensor::readTensors(source / "model.safetensors").value())
        halves.emplace_back(name, value.to(type));
    config["tie_word_embeddings"] = tied;
    if (!tied) {
        const auto table = std::ranges::find(halves, "model.embed_tokens.weight",
                                             &std::pair<std::string, at::Tensor>::first);
        halves.emplace_back("lm_head.weight", table->second.flip(0).contiguous());
    }
    writeFileAtomically(target / "config.json", config.dump()).value();
    tensor::writeTensors(target / "model.safetensors", halves).value();
    return model::ModelFiles::open(target).value();
}

/// Logits of a prompt in `slots` slots and of three more tokens in each.
at::Tensor written(model::Decoder& decoder, std::int64_t slots)
{
    const at::NoGradGuard noGrad;
    model::PackedTokens tokens;
    std::vector<std::int64_t> all, last;
    for (std::int64_t slot = 0; slot < slots; ++slot) {
        tokens.add(std::vector<std::int32_t>{3, 4, static_cast<std::int32_t>(5 + slot), 6});
        all.push_back(slot), last.push_back(7 + slot);
    }
    auto cache = decoder.makeCache(slots, 10);
    std::vector<at::Tensor> out = {decoder.logits(decoder.prefill(tokens, cache, all))};
    for (int more = 0; more < 3; ++more)
        out.push_back(decoder.logits(decoder.decode(last, cache, all)));
    return at::cat(out);
}

} // namespace

/// Models whose frozen weights are held in few bits.
class TestQuantisedModel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void trainsAsTheDecodedWeights_data()
    {
        QTest::addColumn<int>("number");
        for (std::size_t i = 0; i < kWays.size(); ++i)
            QTest::newRow(kWays[i].of.name) << static_cast<int>(i);
    }
    /// The fused and the readable pass on packed weights, against the readable one on dense ones.
    void trainsAsTheDecodedWeights()
    {
        QFETCH(int, number);
        const auto& way = kWays[static_cast<std::size_t>(number)];
        const auto wanted = outcomeOf(way.of, decoderOf(way.kind, true, way.of.biases), true);
        for (const bool reference : {false, true})
            QCOMPARE(differenceOf(outcomeOf(way.of, decoderOf(way.kind, false, way.of.biases), reference), wanted),
                     std::string());
    }

    void isTheSameForAnyNumberOfThreads_data() { trainsAsTheDecodedWeights_data(); }
    void isTheSameForAnyNumberOfThreads()
    {
        QFETCH(int, number);
        const auto& way = kWays[static_cast<std::size_t>(number)];
        const auto before = at::get_num_threads();
        at::set_num_threads(1);
        const auto one = outcomeOf(way.of, decoderOf(way.kind, false, way.of.biases), false);
        at::set_num_threads(3);
        const auto three = outcomeOf(way.of, decoderOf(way.kind, false, way.of.biases), false);
        at::set_num_threads(before);
        QCOMPARE(one.loss, three.loss);
        for (std::size_t i = 0; i < one.gradients.size(); ++i)
            QVERIFY2(at::equal(one.gradients[i].second, three.gradients[i].second),
                     one.gradients[i].first.c_str());
    }

    void answersAsTheDecodedWeights_data()
    {
        QTest::addColumn<int>("kind");
        QTest::addColumn<int>("slots");
        for (const auto kind : {WeightKind::Int8, WeightKind::Nf4}) {
            for (const int slots : {1, 3, 8, 40})
                QTest::addRow("%s, %d together", std::string(tensor::nameOf(kind)).c_str(), slots)
                    << static_cast<int>(kind) << slots;
        }
    }
    void answersAsTheDecodedWeights()
    {
        QFETCH(int, kind);
        QFETCH(int, slots);
        const auto packed = decoderOf(static_cast<WeightKind>(kind), false),
                   dense = decoderOf(static_cast<WeightKind>(kind), true);
        const auto wanted = written(*dense, slots);
        QVERIFY(at::allclose(written(*packed, slots), wanted, 1e-4, 1e-4));
        const tensor::ReferenceOps slow;
        QVERIFY(at::allclose(written(*packed, slots), wanted, 1e-4, 1e-4));
    }

    void sixteenBitsOfAFileAreFloat32_data()
    {
        QTest::addColumn<bool>("bfloat");
        QTest::addColumn<bool>("tied");
        QTest::newRow("bfloat16, one table") << true << true;
        QTest::newRow("bfloat16, a head of its own") << true << false;
        QTest::newRow("float16") << false << true;
    }
    /// Losses, gradients and logits of a file in 16 bits are bit for bit those of its float32
    /// values.
    void sixteenBitsOfAFileAreFloat32()
    {
        QFETCH(bool, bfloat);
        QFETCH(bool, tied);
        const QTemporaryDir folder;
        const auto files = halfFolder(folder, bfloat ? at::kBFloat16 : at::kHalf, tied);
        QCOMPARE(files.storedKind(), WeightKind::Stored16);
        const auto load = [&](WeightKind kind) {
            return model::loadDecoder(files, c10::kCPU, at::kFloat, kind).value();
        };
        const auto held = load(WeightKind::Stored16), wide = load(WeightKind::Float32);
        QVERIFY(held->packedEmbedding && held->packedHead && !held->embedding.defined());
        QCOMPARE(held->packedHead == held->packedEmbedding, tied);
        for (auto* site : held->sites())
            QVERIFY2(site->packed && !site->weight.defined(), site->path.c_str());
        for (const std::int64_t slots : {1, 3, 8, 40})
            QVERIFY(at::equal(written(*held, slots), written(*wide, slots)));
        for (const Case& way :
             {Case{"lora", "lora"},
              Case{"dropout, few labels", "lora", 4, 0.3, {"q_proj", "up_proj"}, 0, false, 4}}) {
            const auto ours = outcomeOf(way, load(WeightKind::Stored16), false),
                       wanted = outcomeOf(way, load(WeightKind::Float32), false);
            QCOMPARE(ours.loss, wanted.loss);
            for (std::size_t i = 0; i < ours.gradients.size(); ++i)
                QVERIFY2(at::equal(ours.gradients[i].second, wanted.gradients[i].second),
                         ours.gradients[i].first.c_str());
        }
        // What moves or computes in other numbers is widened.
        const auto doubled =
            model::loadDecoder(files, c10::kCPU, at::kDouble, WeightKind::Stored16).value();
        QVERIFY(!doubled->packedEmbedding && !doubled->sites().front()->packed);
        QVERIFY(methods::makeMethod("full").value()->attach(
            *load(WeightKind::Float32), ParamValues(recipes::trainingSettings()),
            Rng(1, "adapter init")));
    }

    void holdsFewBytes()
    {
        const auto int8 = decoderOf(WeightKind::Int8, false),
                   nf4 = decoderOf(WeightKind::Nf4, false);
        QVERIFY(int8->packedEmbedding && int8->packedHead == int8->packedEmbedding &&
                !int8->embedding.defined());
        QVERIFY(nf4->embedding.defined() && !nf4->packedHead);
        for (const auto& decoder : {int8.get(), nf4.get()}) {
            std::uint64_t bytes = decoder->packedEmbedding ? decoder->packedEmbedding->bytes() : 0;
            for (auto* site : decoder->sites()) {
                QVERIFY2(site->packed && !site->weight.defined(), site->path.c_str());
                bytes += site->packed->bytes();
            }
            for (const auto& [name, tensor] : decoder->parameters())
                bytes += static_cast<std::uint64_t>(tensor->numel()) * 4;
            QCOMPARE(bytes,
                     model::weightBytes(decoder->config, decoder == int8.get() ? WeightKind::Int8
                                                                               : WeightKind::Nf4));
        }
    }

    /// Nothing of the base asks for a gradient, and a change of the weights makes them float32.
    void onlyTheAddOnMoves()
    {
        auto decoder = decoderOf(WeightKind::Nf4, false);
        auto attached = methods::makeMethod("lora")
                            .value()
                            ->attach(*decoder, ParamValues(recipes::trainingSettings()), Rng(1, "adapter init"))
                            .value();
        for (const auto& [name, tensor] : decoder->parameters())
            QVERIFY2(!tensor->requires_grad(), name.c_str());
        for (const auto& each : attached->trainable()) {
            const at::NoGradGuard noGrad;
            each.value.fill_(0.01);
        }
        auto* site = decoder->sites().front();
        const auto wanted = site->matrix() + site->term->deltaWeight();
        attached->merge().value();
        QVERIFY(!site->packed && at::equal(site->matrix(), wanted));
    }

    void theWholeModelCannotTrain()
    {
        auto decoder = decoderOf(WeightKind::Int8, false);
        const auto refused = methods::makeMethod("full").value()->attach(*decoder, ParamValues(recipes::trainingSettings()),
                                                                         Rng(1, "adapter init"));
        QVERIFY(!refused);
        QCOMPARE(refused.error().where, std::string("setting model.weights"));
    }

    void packedLaterIsTheSame()
    {
        auto files = model::ModelFiles::open(sourceFolder() / "tests/fixtures/tiny_llama").value();
        auto later = model::loadDecoder(files, c10::kCPU, at::kFloat).value();
        later->pack(WeightKind::Int8);
        const auto once = decoderOf(WeightKind::Int8, false);
        QVERIFY(at::equal(written(*later, 2), written(*once, 2)));
    }
};

QTEST_GUILESS_MAIN(TestQuantisedModel)
#include "test_quantised_model.moc"
