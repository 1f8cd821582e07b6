#include "family_help.h"
#include "generate/generator.h"
#include "generate/score.h"
#include "model/decoder.h"
#include "tensor/ops.h"
#include "text/tokenizer.h"

#include <ATen/core/grad_mode.h>
#include <QTest>

using namespace fettle;
using namespace fettle::tests;

namespace {

using Tokens = std::vector<std::int32_t>;

const Tokens kPrompt = {3, 9, 4, 7, 11, 5, 5, 6, 12, 3, 8, 4, 10, 13, 9, 6, 7, 3, 5, 11, 4};
const std::vector<Tokens> kAnswers = {{5, 6, 7, 8, 9, 10, 11, 12}, {4}, {}, {5, 6, 7, 3}, {13, 12}};

Tokens joined(const Tokens& a, const Tokens& b)
{
    auto all = a;
    all.insert(all.end(), b.begin(), b.end());
    return all;
}

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

} // namespace

/// Documents behind tokens that were read before: the same numbers as reading from the start.
class TestReadOn : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void goesOnAsFromTheStart_data() { decoders(); }
    /// Two documents behind one start, without a cache of their own and with one, and written on.
    void goesOnAsFromTheStart()
    {
        QFETCH(std::string, family);
        QFETCH(bool, reference);
        const at::NoGradGuard noGrad;
        std::optional<tensor::ReferenceOps> slow;
        if (reference)
            slow.emplace();
        auto decoder = model::loadDecoder(familyFiles(family), c10::kCPU, at::kFloat).value();
        const std::vector<Tokens> own = {kAnswers[0], kAnswers[3]};
        model::PackedTokens start, rest, whole;
        start.add(kPrompt);
        for (const auto& document : own) {
            rest.add(document);
            whole.add(joined(kPrompt, document));
        }
        auto earlier = decoder->makeCache(1, start.size());
        auto cache = decoder->makeCache(3, 40), other = decoder->makeCache(3, 40);
        const std::vector<std::int64_t> first = {0}, slots = {2, 1}, rows = {3, 9, 0};
        decoder->prefill(start, earlier, first);
        const auto expected = decoder->prefill(whole, other, slots);
        const auto length = start.size();
        const auto behind = at::cat({expected.narrow(0, length, 8), expected.narrow(0, 2 * length + 8, 4)});
        const auto found = decoder->readOn(rest, earlier, {}, &cache, slots);
        QVERIFY(largest(found - behind) <= 1e-5 * largest(behind));
        const auto picked = decoder->readOn(rest, earlier, rows);
        QVERIFY(largest(picked - behind.index_select(0, at::tensor(rows))) <= 1e-5 * largest(behind));
        QCOMPARE(cache.lengths, other.lengths);
        const std::vector<std::int64_t> next = {6, 4};
        const auto ours = decoder->decode(next, cache, slots),
                   theirs = decoder->decode(next, other, slots);
        QVERIFY(largest(ours - theirs) <= 1e-5 * largest(theirs));
    }

    void scoresAsAlone_data()
    {
        QTest::addColumn<std::string>("family");
        QTest::addColumn<int>("tokensAtOnce");
        for (const char* family : {"llama", "gemma2", "gpt2", "mixtral", "phi3_longrope", "t5"}) {
            for (const int atOnce : {1, 10, 2048})
                QTest::addRow("%s, %d at once", family, atOnce) << std::string(family) << atOnce;
        }
    }
    void scoresAsAlone()
    {
        QFETCH(std::string, family);
        QFETCH(int, tokensAtOnce);
        const at::NoGradGuard noGrad;
        auto model = model::loadLanguageModel(familyFiles(family), c10::kCPU, at::kFloat).value();
        const auto scores = generate::scoreContinuations(*model, kPrompt, kAnswers, tokensAtOnce);
        QCOMPARE(scores.size(), kAnswers.size());
        for (std::size_t i = 0; i < kAnswers.size(); ++i) {
            model::PackedTokens alone;
            alone.add(joined(kPrompt, kAnswers[i]), static_cast<std::int64_t>(kPrompt.size()));
            const auto states = model->hidden(alone);
            const auto all = at::log_softmax(model->logits(states).to(at::kDouble), -1);
            QCOMPARE(scores[i].logProbabilities.size(), kAnswers[i].size());
            double sum = 0;
            for (std::size_t t = 0; t < kAnswers[i].size(); ++t) {
                const auto row = static_cast<std::int64_t>(kPrompt.size() + t) - 1;
                const double expected = all[row][kAnswers[i][t]].item<double>();
                sum += expected;
                QVERIFY(near(scores[i].logProbabilities[t], expected, 0, 1e-5));
            }
            QVERIFY(near(scores[i].sum(), sum, 0, 1e-4));
            if (!kAnswers[i].empty())
                QVERIFY(near(scores[i].mean(), sum / static_cast<double>(kAnswers[i].size()), 0, 1e-5));
        }
        QVERIFY(generate::scoreContinuations(*model, kPrompt, {{4, 5}}, 9, [] { return true; })[0]
                    .logProbabilities.size() < 2);
    }

    /// Prompts with one start, more than one group has slots for: each answer as alone.
    void answersAsAlone()
    {
        const auto folder = sourceFolder() / "tests/fixtures/tiny_llama";
        auto decoder = model::loadDecoder(model::ModelFiles::open(folder).value(), c10::kCPU, at::kFloat).value();
        const auto tokenizer = text::Tokenizer::load(folder).value();
        std::vector<Tokens> prompts;
        for (std::int32_t i = 0; i < 5; ++i)
            prompts.push_back(joined(kPrompt, Tokens(static_cast<std::size_t>(i % 3 + 1), i + 20)));
        generate::Settings settings;
        settings.maxNewTokens = 12;
        const auto together = generate::generate(*decoder, *tokenizer, prompts, settings, {}, 2);
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            const auto alone = generate::generate(*decoder, *tokenizer, {prompts[i]}, settings);
            QCOMPARE(together[i].ids, alone[0].ids);
        }
    }

private:
    static void decoders()
    {
        QTest::addColumn<std::string>("family");
        QTest::addColumn<bool>("reference");
        for (const char* family : {"llama", "qwen3", "gemma2", "gemma3_text", "gpt2", "gpt_bigcode_heads", "gpt_neo",
                                   "gpt_neox", "phi", "phi3", "olmo2", "granite", "mixtral"}) {
            for (const bool reference : {false, true})
                QTest::addRow("%s%s", family, reference ? ", readable" : "") << std::string(family) << reference;
        }
    }
};

QTEST_APPLESS_MAIN(TestReadOn)
#include "test_read_on.moc"
