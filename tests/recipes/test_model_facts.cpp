#include "base/text.h"
#include "golden.h"
#include "recipes/loaded_model.h"
#include "recipes/memory.h"
#include "recipes/model_facts.h"
#include "recipes/seen_pieces.h"
#include "recipes/settings.h"

#include <QTest>

using namespace fettle;
using namespace fettle::tests;

namespace {

std::filesystem::path tinyFolder() { return sourceFolder() / "tests/fixtures/tiny_llama"; }

} // namespace

/// What a person is shown of a model before choosing it, and of a text before training on it.
class TestModelFacts : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void fitsByTheMemoryThatIsFree()
    {
        using Level = recipes::Fit::Level;
        QVERIFY(recipes::Fit({.needed = 80, .available = 100}).level() == Level::Fits);
        QVERIFY(recipes::Fit({.needed = 81, .available = 100}).level() == Level::Tight);
        QVERIFY(recipes::Fit({.needed = 101, .available = 100}).level() == Level::TooLarge);
        // A machine that does not tell its memory is not called too small.
        QVERIFY(recipes::Fit({.needed = 101, .available = 0}).level() == Level::Fits);
    }

    void factsOfAFolder()
    {
        store::ModelRecord record;
        record.folder = tinyFolder();
        const auto facts = recipes::modelFacts(record);
        QVERIFY2(facts, facts ? "" : facts.error().sentence().c_str());
        const auto weights = static_cast<std::uint64_t>(facts->config.parameters()) * 4;
        QVERIFY(facts->answering.needed > weights);
        QVERIFY(facts->addOn.needed > facts->answering.needed);
        QVERIFY(facts->whole.needed > 4 * weights); // with gradients and two moments
        QVERIFY(facts->answering.available > 0);
        ParamValues full(recipes::trainingSettings());
        QVERIFY(full.set("method", "full"));
        QCOMPARE(recipes::trainableParameters(facts->config, full), facts->config.parameters());
        record.folder = "/nowhere";
        QVERIFY(!recipes::modelFacts(record));
    }

    void fewerBitsNeedLess()
    {
        const auto config = model::readModelConfig(tinyFolder()).value();
        const auto needed = [&](const char* weights) {
            ParamValues settings(recipes::trainingSettings());
            settings.set("model.weights", weights).value();
            return recipes::trainingBytes(config, tensor::WeightKind::Float32, settings,
                                          {.tokens = 64});
        };
        const auto whole = static_cast<std::uint64_t>(config.parameters()) * 4;
        const auto saved = needed("float32") - needed("int8");
        QVERIFY2(saved > whole * 7 / 10 && saved < whole * 3 / 4, std::to_string(saved).c_str());
        QVERIFY(needed("nf4") < needed("float32")); // here most of the model is its table of pieces
    }

    void shortMemoryWorksTwice()
    {
        auto config = model::readModelConfig(tinyFolder()).value();
        config.layers = 12;
        ParamValues settings(recipes::trainingSettings());
        const auto needed = [&](std::int64_t layers) {
            return recipes::trainingBytes(config, tensor::WeightKind::Float32, settings,
                                          {.savings = {layers}});
        };
        const auto chosen = [&](std::uint64_t available) {
            return recipes::savingsFor(config, tensor::WeightKind::Float32, settings, {.available = available})
                .recomputed;
        };
        QVERIFY(needed(5) < needed(4) && needed(11) < needed(5));
        QCOMPARE(chosen(needed(0)), 0);
        QCOMPARE(chosen(needed(0) - 1), 5); // four sets for what five do not need any more
        QCOMPARE(chosen(needed(5)), 5);
        QCOMPARE(chosen(1), 11);
        QCOMPARE(chosen(0), 0);
        settings.set("training.recompute", "none").value();
        QCOMPARE(chosen(1), 0);
        settings.set("training.recompute", "all").value();
        QCOMPARE(chosen(needed(0)), 11);
    }

    /// On a card first layers are made again, then the optimizer's numbers leave it.
    void aSmallCardSaves()
    {
        auto config = model::readModelConfig(tinyFolder()).value();
        config.layers = 12;
        ParamValues settings(recipes::trainingSettings());
        settings.set("method", "full").value();
        const auto needed = [&](recipes::Savings savings, bool onCard = true) {
            return recipes::trainingBytes(config, tensor::WeightKind::Float32, settings,
                                          {.savings = savings, .onCard = onCard});
        };
        const auto chosen = [&](std::uint64_t available, bool onCard = true) {
            const auto savings =
                recipes::savingsFor(config, tensor::WeightKind::Float32, settings, {onCard, available});
            return std::pair(savings.recomputed, savings.hostMoments);
        };
        QVERIFY(chosen(needed({})) == std::pair(std::int64_t{0}, false));
        QVERIFY(chosen(needed({}) - 1) == std::pair(std::int64_t{2}, false)); // one of the two stays whole for a while
        QVERIFY(chosen(needed({11})) == std::pair(std::int64_t{11}, false));
        QVERIFY(chosen(needed({11}) - 1).second);
        QVERIFY(needed({11, true}) < needed({11}));
        QVERIFY(chosen(1) == std::pair(std::int64_t{11}, true));
        QVERIFY(chosen(1, false) == std::pair(std::int64_t{11}, false));
        settings.set("method", "lora").value();
        config.tieEmbeddings = false;
        const auto last = recipes::savingsFor(config, tensor::WeightKind::Float32, settings, {true, 1});
        QVERIFY(last.hostTable && needed(last) < needed({11, true}));
        settings.set("model.weights", "int8").value(); // its tables stay whole on a card
        settings.set("training.precision", "float32").value();
        const auto table = static_cast<std::uint64_t>(config.vocab * config.hidden) * 4;
        QCOMPARE(needed({.hostTable = true}), needed({}) - table);
        QVERIFY(needed({}) > 2 * table);
        settings.set("model.weights", "float32").value();
        settings.set("training.precision", "auto").value();
        const auto half = needed({});
        settings.set("training.precision", "float32").value();
        QVERIFY(needed({}) - half > static_cast<std::uint64_t>(config.parameters()));
    }

    void answersAtChecksCount()
    {
        const auto config = model::readModelConfig(tinyFolder()).value();
        const ParamValues settings(recipes::trainingSettings());
        const auto needed = [&](std::int64_t answered) {
            return recipes::trainingBytes(config, tensor::WeightKind::Float32, settings,
                                          {.tokens = 64, .answered = answered});
        };
        QCOMPARE(needed(10), needed(0)); // they lie where the logits of a step lay
        QVERIFY(recipes::trainingBytes(config, tensor::WeightKind::Float32, settings,
                                       {.tokens = 64, .taught = 1}) <
                needed(0)); // few taught tokens have few logits
        const auto more = needed(2'000'000) - needed(1'000'000);
        const auto cache = config.layers * 2 * config.kvHeads * config.headDim;
        QVERIFY(more > static_cast<std::uint64_t>(1'000'000 * cache) * 4);
    }

    void piecesAreTheTextAgain()
    {
        const auto encoder = recipes::loadEncoder(tinyFolder());
        QVERIFY(encoder);
        data::Example example;
        example.kind = data::RecordKind::Completion;
        example.prompt = "Is the knee \xF0\x9F\xA6\xB5 stable? ";
        example.completion = "Yes.\n\nIt is.";
        const auto encoded = encoder->encode(example, text::LossOn::Answers);
        QVERIFY(encoded);
        const auto pieces = recipes::seenPieces(*encoder->tokenizer, *encoded);
        std::string words;
        std::size_t ids = 0, spread = 0;
        std::int64_t taught = 0;
        for (const auto& piece : pieces) {
            QVERIFY(isValidUtf8(piece.text));
            if (!piece.mark)
                words += piece.text;
            ids += piece.ids.size();
            spread += piece.ids.size() > 1 ? 1 : 0;
            taught += piece.taught ? 1 : 0;
        }
        QCOMPARE(words, example.prompt + example.completion);
        QCOMPARE(ids, encoded->ids.size());
        QCOMPARE(spread, 1U); // the leg, of four bytes that no token joins
        QCOMPARE(taught, encoded->trainedCount());
    }
};

QTEST_APPLESS_MAIN(TestModelFacts)
#include "test_model_facts.moc"
