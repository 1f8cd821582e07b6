#include "deploy/export.h"
#include "family_help.h"
#include "methods/method.h"
#include "parity.h"

#include <ATen/core/grad_mode.h>
#include <QTemporaryDir>
#include <QTest>

using namespace fettle;
using namespace fettle::tests;

namespace {

using Ids = std::vector<std::int32_t>;

std::unique_ptr<model::Encoder> encoderOf(const std::string& name, at::ScalarType dtype)
{
    return model::loadEncoder(familyFiles(name), c10::kCPU, dtype).value();
}

std::unique_ptr<model::EncoderDecoder> writerOf(const std::string& name, at::ScalarType dtype)
{
    return model::loadEncoderDecoder(familyFiles(name), c10::kCPU, dtype).value();
}

Ids joined(const Json& source, const Json& target)
{
    auto ids = source.get<Ids>();
    for (const auto& id : target)
        ids.push_back(id.get<std::int32_t>());
    return ids;
}

/// Rows of the states that foretell the tokens of document d, and these tokens.
struct Targets
{
    std::vector<std::int64_t> rows, labels;
    void add(const model::PackedTokens& tokens, std::size_t d)
    {
        for (auto t = tokens.offsets[d] + tokens.sources[d]; t < tokens.offsets[d + 1]; ++t) {
            rows.push_back(t - 1);
            labels.push_back(tokens.ids[static_cast<std::size_t>(t)]);
        }
    }
};

at::Tensor longs(const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong); }

at::Tensor pattern(const at::Tensor& states) // [..., hidden] -> [hidden]
{
    return (at::arange(states.size(-1), at::kFloat) * 0.9).cos();
}

std::vector<std::int64_t> greedy(model::LanguageModel& model, const std::vector<Ids>& texts,
                                 std::size_t which)
{
    model::PackedTokens tokens;
    std::vector<std::int64_t> slots, last, answer;
    for (const auto& text : texts) {
        slots.push_back(static_cast<std::int64_t>(slots.size()));
        tokens.add(text);
        last.push_back(tokens.size() - 1);
    }
    auto cache = model.makeCache(static_cast<std::int64_t>(slots.size()), 64);
    auto states = model.prefill(tokens, cache, slots).index_select(0, longs(last));
    for (int i = 0; i < 8; ++i) {
        const auto picked = model.logits(states).argmax(-1);
        std::vector<std::int64_t> next(picked.const_data_ptr<std::int64_t>(),
                                       picked.const_data_ptr<std::int64_t>() + picked.numel());
        answer.push_back(next[which]);
        states = model.decode(next, cache, slots);
    }
    return answer;
}

/// Of one text: an encoder's states, or what an encoder-decoder says of its second part.
at::Tensor said(model::Model& model)
{
    model::PackedTokens tokens;
    tokens.add(Ids{5, 9, 31, 8, 40, 11, 7}, 4);
    if (auto* encoder = dynamic_cast<model::Encoder*>(&model))
        return encoder->hidden(tokens);
    auto& writer = dynamic_cast<model::EncoderDecoder&>(model);
    return writer.logits(writer.hidden(tokens).narrow(0, 3, 3));
}

} // namespace

/// Encoders and encoder-decoders against transformers, on random tiny checkpoints.
class TestEncoders : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { m_golden = familyGolden("families_encoders.json"); }

    void encoders_data() { names("encoders"); }
    void encoders();
    void encoderGradients_data() { names("encoders"); }
    void encoderGradients();
    void writers_data() { names("writers"); }
    void writers();
    void writerGradients_data() { names("writers"); }
    void writerGradients();
    void answers_data() { names("writers"); }
    void answers();
    void weightsAreThoseExpected_data();
    void weightsAreThoseExpected();
    void lowRankUpdatesActOnEverySite_data() { weightsAreThoseExpected_data(); }
    void lowRankUpdatesActOnEverySite();
    void aWrittenFolderIsTheSame_data() { weightsAreThoseExpected_data(); }
    void aWrittenFolderIsTheSame();
    void otherKindsAreRefused();

private:
    void names(const char* part) const
    {
        QTest::addColumn<QString>("name");
        for (const auto& [name, expected] : m_golden[part].items())
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
    /// Both texts of a case, packed.
    model::PackedTokens texts(const Json& expected, bool typed) const
    {
        model::PackedTokens tokens;
        tokens.add(expected["first"].get<Ids>());
        tokens.add(expected["second"].get<Ids>());
        if (typed) {
            tokens.types = m_golden["types"].get<std::vector<std::int64_t>>();
            tokens.types.resize(tokens.ids.size(), 0);
        }
        return tokens;
    }
    std::unique_ptr<model::Model> any(const std::string& name) const
    {
        if (m_golden["encoders"].contains(name))
            return encoderOf(name, at::kFloat);
        return writerOf(name, at::kFloat);
    }

    Json m_golden;
};

void TestEncoders::encoders()
{
    QFETCH(QString, name);
    const at::NoGradGuard noGrad;
    const auto& expected = m_golden["encoders"][name.toStdString()];
    const auto encoder = encoderOf(name.toStdString(), at::kFloat);
    const auto tokens = texts(expected, encoder->config.encoder.tokenTypes > 1);
    const auto length = tokens.offsets[1];
    const auto states = encoder->hidden(tokens);
    double largest =
        std::max(difference(states, expected["states"]),
                 difference(states, expected["secondStates"], length)); // padded at the right
    if (expected.contains("leftStates"))
        largest = std::max(largest, difference(states, expected["leftStates"], length));
    const auto means = encoder->sentences(states, tokens.offsets, model::Pooling::Mean);
    largest = std::max(largest, difference(means[1], expected["secondMean"].get<Numbers>()));
    QCOMPARE(expected.contains("pooled"), encoder->pooler.exists());
    if (encoder->pooler.exists()) {
        const auto pooled = encoder->pooled(states, tokens.offsets);
        for (std::int64_t d = 0; d < 2; ++d)
            largest = std::max(
                largest,
                difference(pooled[d],
                           expected["pooled"][static_cast<std::size_t>(d)].get<Numbers>()));
    }
    QCOMPARE(expected.contains("logits"), encoder->hasLanguageHead());
    if (encoder->hasLanguageHead())
        largest = std::max(largest, difference(encoder->logits(states), expected["logits"]));

    const auto wide = encoderOf(name.toStdString(), at::kDouble);
    const double wideDifference =
        difference(wide->hidden(tokens)[length - 1], expected["statesWide"].get<Numbers>());
    qInfo("largest difference: %.2g in float32, %.2g in float64", largest, wideDifference);
    QVERIFY(largest < 1e-4);
    QVERIFY(wideDifference < 1e-9);
    parity(name.toStdString(), "logits", largest);
}

void TestEncoders::encoderGradients()
{
    QFETCH(QString, name);
    const auto& expected = m_golden["encoders"][name.toStdString()];
    auto encoder = encoderOf(name.toStdString(), at::kFloat);
    makeTrainable(*encoder);
    auto tokens = texts(expected, encoder->config.encoder.tokenTypes > 1);
    const auto states = encoder->hidden(tokens);
    auto loss = (states.narrow(0, 0, tokens.offsets[1]) * pattern(states)).mean();
    if (encoder->pooler.exists())
        loss = loss + (encoder->pooled(states, tokens.offsets)[0] * pattern(states)).sum();
    if (encoder->hasLanguageHead()) {
        const auto labels = expected["labels"].get<std::vector<std::int64_t>>();
        const auto rows =
            states.index_select(0, longs(m_golden["masked"].get<std::vector<std::int64_t>>()));
        tensor::HeadLossInfo info;
        loss = loss + encoder->loss(rows, labels, 1.0 / static_cast<double>(labels.size()), info);
    }
    QVERIFY(near(loss.item<double>(), expected["loss"].get<double>(), 1e-5, 1e-6));
    loss.backward();
    double largest = 0;
    const auto wrong = wrongGradient(*encoder, expected["gradients"], largest);
    QVERIFY2(wrong.empty(), wrong.c_str());
    parity(name.toStdString(), "gradients", largest);
}

void TestEncoders::writers()
{
    QFETCH(QString, name);
    const at::NoGradGuard noGrad;
    const auto& expected = m_golden["writers"][name.toStdString()];
    const auto model = writerOf(name.toStdString(), at::kFloat);
    const auto read = texts(expected, false);
    double largest = difference(model->encode(read.ids, read.offsets), expected["states"]);

    model::PackedTokens tokens;
    const std::int64_t sources[] = {read.offsets[1], read.offsets[2] - read.offsets[1]};
    tokens.add(joined(expected["first"], expected["targets"][0]), sources[0]);
    tokens.add(joined(expected["second"], expected["targets"][1]), sources[1]);
    const auto logits = model->logits(model->hidden(tokens));
    largest = std::max(largest, difference(logits, expected["logits"], sources[0] - 1));
    const auto second = tokens.offsets[1] + sources[1] - 1;
    largest = std::max(largest, difference(logits, expected["secondLogits"], second));
    if (expected.contains("leftLogits"))
        largest = std::max(largest, difference(logits, expected["leftLogits"], second));

    auto wide = writerOf(name.toStdString(), at::kDouble);
    const auto last = wide->logits(wide->hidden(tokens))[tokens.offsets[1] - 2];
    const auto logitsWide = expected["logitsWide"].get<Numbers>();
    const double wideDifference = difference(last, logitsWide);
    qInfo("largest difference: %.2g in float32, %.2g in float64", largest, wideDifference);
    QVERIFY(largest < 1e-4);
    QVERIFY(wideDifference < limitBeside(logitsWide));
    parity(name.toStdString(), "logits", largest);
}

void TestEncoders::writerGradients()
{
    QFETCH(QString, name);
    const auto& expected = m_golden["writers"][name.toStdString()];
    auto model = writerOf(name.toStdString(), at::kFloat);
    makeTrainable(*model);
    model::PackedTokens tokens;
    Targets targets;
    for (std::size_t d = 0; d < 2; ++d) {
        const auto& source = expected[d == 0 ? "first" : "second"];
        tokens.add(joined(source, expected["targets"][d]),
                   static_cast<std::int64_t>(source.size()));
        targets.add(tokens, d);
    }
    const auto states = model->hidden(tokens).index_select(0, longs(targets.rows));
    tensor::HeadLossInfo info;
    auto loss =
        model->loss(states, targets.labels, 1.0 / static_cast<double>(targets.labels.size()), info);
    QVERIFY(near(loss.item<double>(), expected["loss"].get<double>(), 1e-5, 0));
    loss.backward();
    double largest = 0;
    const auto wrong = wrongGradient(*model, expected["gradients"], largest);
    QVERIFY2(wrong.empty(), wrong.c_str());
    parity(name.toStdString(), "gradients", largest);
}

/// With the cache, alone and beside a text of another length; and without it.
void TestEncoders::answers()
{
    QFETCH(QString, name);
    const at::NoGradGuard noGrad;
    const auto& expected = m_golden["writers"][name.toStdString()];
    auto model = writerOf(name.toStdString(), at::kFloat);
    const std::vector<Ids> both{expected["first"].get<Ids>(), expected["second"].get<Ids>()};
    for (std::size_t i = 0; i < 2; ++i) {
        const auto theirs = expected["greedy"][i].get<std::vector<std::int64_t>>();
        QCOMPARE(greedy(*model, {both[i]}, 0), theirs);
        QCOMPARE(greedy(*model, both, i), theirs);
        auto text = both[i];
        const auto source = static_cast<std::int64_t>(text.size());
        for (const auto next : theirs) {
            text.push_back(0); // any token: its place is what is asked for
            model::PackedTokens tokens;
            tokens.add(text, source);
            const auto states = model->hidden(tokens);
            QCOMPARE(model->logits(states.narrow(0, tokens.size() - 2, 1))
                         .argmax(-1)
                         .item<std::int64_t>(),
                     next);
            text.back() = static_cast<std::int32_t>(next);
        }
    }
    parity(name.toStdString(), "generation", 0);
}

void TestEncoders::weightsAreThoseExpected_data()
{
    QTest::addColumn<QString>("name");
    for (const char* part : {"encoders", "writers"}) {
        for (const auto& [name, expected] : m_golden[part].items())
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
}

/// Every weight of a file is held by the model under its published name, none is left over.
void TestEncoders::weightsAreThoseExpected()
{
    QFETCH(QString, name);
    const auto files = familyFiles(name.toStdString());
    QCOMPARE(files.warnings().size(), std::size_t{0});
    auto model = any(name.toStdString());
    std::map<std::string, std::vector<std::int64_t>> held, expected;
    for (auto& [path, tensor] : model->parameters())
        held[path] = tensor->sizes().vec();
    for (const auto& weight : model::expectedWeights(files.config()))
        expected[weight.name] = weight.shape;
    QCOMPARE(held, expected);
    std::int64_t stored = 0, count = 0;
    for (const auto* info : files.weights().tensors()) {
        const bool buffer = info->name.ends_with("position_ids") ||
                            info->name.find("EncDecAttention.relative") != std::string::npos;
        std::int64_t size = buffer ? 0 : 1;
        for (const auto dimension : info->shape)
            size *= dimension;
        stored += size;
    }
    for (const auto& [path, shape] : held) {
        std::int64_t size = 1;
        for (const auto dimension : shape)
            size *= dimension;
        count += size;
    }
    QCOMPARE(count, stored);
    QCOMPARE(files.config().parameters(), stored);
}

/// An add-on of every matrix: changes nothing at its start, learns at every site, merges to the
/// same.
void TestEncoders::lowRankUpdatesActOnEverySite()
{
    QFETCH(QString, name);
    auto model = any(name.toStdString());
    const auto method = methods::makeMethod("lora").value();
    ParamValues values(method->spec().parameters);
    QVERIFY(values.setAll(Json{{"lora.rank", 2}, {"lora.dropout", 0}}));
    const auto states = [&] {
        model::PackedTokens tokens;
        tokens.add(Ids{5, 9, 31, 8, 40, 11, 7}, 4);
        if (auto* encoder = dynamic_cast<model::Encoder*>(model.get()))
            return encoder->hidden(tokens);
        return dynamic_cast<model::EncoderDecoder&>(*model).hidden(tokens);
    };
    const auto before = states();
    auto attached = method->attach(*model, values, Rng(1, "start")).value();
    QCOMPARE(attached->trainable().size(), 2 * model->sites().size());
    const auto untouched = states();
    QVERIFY(at::equal(untouched, before));
    (untouched * pattern(untouched)).sum().backward();
    {
        const at::NoGradGuard noGrad;
        for (const auto& each : attached->trainable()) {
            const bool second = each.name.ends_with("lora_B.weight");
            QVERIFY2(!second || each.value.grad().abs().max().item<double>() > 0,
                     each.name.c_str());
            if (second)
                each.value.sub_(each.value.grad() * 0.1);
        }
    }
    const auto learned = states();
    QVERIFY((learned - before).abs().max().item<double>() > 1e-3);
    QVERIFY(attached->merge());
    const double size = std::max(1.0, learned.abs().max().item<double>());
    QVERIFY((states() - learned).abs().max().item<double>() < 1e-4 * size);
}

/// Weights, heads that are kept as they are among them, and what the model says of a text, bit by
/// bit.
void TestEncoders::aWrittenFolderIsTheSame()
{
    QFETCH(QString, name);
    const at::NoGradGuard noGrad;
    QTemporaryDir place;
    const auto target = std::filesystem::path(place.path().toStdString()) / "written";
    auto model = any(name.toStdString());
    const auto written = deploy::exportModel(*model, familyFolder(name.toStdString()), target, {});
    QVERIFY2(written, written ? "" : written.error().sentence().c_str());
    auto again =
        model::loadAny(model::ModelFiles::open(target).value(), c10::kCPU, at::kFloat).value();
    const auto before = model->parameters(), after = again->parameters();
    QCOMPARE(after.size(), before.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        QCOMPARE(after[i].first, before[i].first);
        QVERIFY2(at::equal(*after[i].second, *before[i].second), before[i].first.c_str());
    }
    QVERIFY(at::equal(said(*again), said(*model)));
    parity(name.toStdString(), "Hugging Face folder", 0);
}

void TestEncoders::otherKindsAreRefused()
{
    const auto bert = model::loadLanguageModel(familyFiles("bert"), c10::kCPU, at::kFloat);
    QVERIFY(!bert && bert.error().code == ErrorCode::Unsupported);
    QVERIFY(bert.error().what.find("encoder (bert)") != std::string::npos &&
            !bert.error().remedy.empty());
    QVERIFY(!model::loadDecoder(familyFiles("bert"), c10::kCPU, at::kFloat));
    QVERIFY(!model::loadDecoder(familyFiles("t5"), c10::kCPU, at::kFloat));
    QVERIFY(!model::loadEncoder(familyFiles("t5"), c10::kCPU, at::kFloat));
    QVERIFY(!model::loadEncoder(familyFiles("llama"), c10::kCPU, at::kFloat));
    QVERIFY(model::loadLanguageModel(familyFiles("t5"), c10::kCPU, at::kFloat));
    QVERIFY(model::loadLanguageModel(familyFiles("llama"), c10::kCPU, at::kFloat));
}

QTEST_APPLESS_MAIN(TestEncoders)
#include "test_encoders.moc"
