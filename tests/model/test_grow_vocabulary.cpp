#include "model/import/grow_vocabulary.h"
#include "model/import/hf_folder.h"
#include "model/import_helpers.h"
#include "tensor/files/convert.h"

#include <QTemporaryDir>
#include <QTest>
#include <cmath>

using namespace fettle;
using namespace fettle::model;
namespace fs = std::filesystem;

namespace {

fs::path tiny() { return fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/tiny_llama"; }

std::vector<float> rowOf(const ModelFiles& files, const std::string& name, std::int64_t row)
{
    const auto& info = *files.find(name);
    const auto width = static_cast<std::size_t>(info.shape[1]);
    const auto bytes = width * tensor::bitsOf(info.dtype) / 8;
    std::vector<float> values(width);
    tensor::toFloats(info.dtype, info.bytes.subspan(static_cast<std::size_t>(row) * bytes, bytes),
                     values.data());
    return values;
}

double farthest(const std::vector<float>& a, const std::vector<double>& b)
{
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        most = std::max(most, std::abs(a[i] - b[i]));
    return most;
}

std::vector<double> meanOf(const ModelFiles& files, const std::string& name,
                           const std::vector<std::int64_t>& rows)
{
    std::vector<double> mean(static_cast<std::size_t>(files.find(name)->shape[1]));
    for (const auto row : rows) {
        const auto values = rowOf(files, name, row);
        for (std::size_t i = 0; i < mean.size(); ++i)
            mean[i] += values[i] / static_cast<double>(rows.size());
    }
    return mean;
}

} // namespace

/// Further tokens for a model: rows for them, and nothing else changed.
class TestGrowVocabulary : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void newRowsStartWhereTheyShould_data()
    {
        QTest::addColumn<int>("start");
        QTest::newRow("mean") << static_cast<int>(NewRows::Mean);
        QTest::newRow("pieces") << static_cast<int>(NewRows::Pieces);
    }
    void newRowsStartWhereTheyShould()
    {
        QFETCH(int, start);
        QTemporaryDir place;
        const auto target = fs::path(place.path().toStdString()) / "grown";
        const auto before = ModelFiles::open(tiny()).value();
        VocabularyGrowth growth;
        growth.tokens = {{"<|form|>", true}, {"knee joint", false}};
        growth.multiple = 64;
        growth.start = static_cast<NewRows>(start);
        const auto grown = growVocabulary(tiny(), target, growth);
        QVERIFY2(grown, grown ? "" : grown.error().sentence().c_str());
        const auto after = ModelFiles::open(target).value();
        QCOMPARE(after.config().vocab % 64, 0);
        QVERIFY(after.config().vocab >= grown->added.vocabSize);

        const auto table = before.config().names.embedding + ".weight";
        const auto old = grown->added.vocabSizeBefore;
        std::vector<std::int64_t> all(static_cast<std::size_t>(old));
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = static_cast<std::int64_t>(i);
        for (const auto& weight : expectedWeights(before.config())) {
            const auto *a = before.find(weight.name), *b = after.find(weight.name);
            const auto same = a->shape == b->shape
                                  ? a->bytes.size()
                                  : a->bytes.size() / static_cast<std::size_t>(a->shape[0]) *
                                        static_cast<std::size_t>(old);
            QVERIFY2(std::equal(a->bytes.begin(), a->bytes.begin() + static_cast<long>(same),
                                b->bytes.begin()),
                     weight.name.c_str());
        }
        for (const auto& token : grown->added.tokens) {
            QVERIFY(token.isNew && token.id >= old);
            std::vector<std::int64_t> rows = all;
            if (growth.start == NewRows::Pieces)
                rows.assign(token.pieces.begin(), token.pieces.end());
            QVERIFY(!rows.empty());
            QVERIFY(farthest(rowOf(after, table, token.id), meanOf(before, table, rows)) < 1e-6);
        }
        const auto tokenizer = text::Tokenizer::load(target).value();
        QCOMPARE(tokenizer->encode("<|form|>", {false, true}),
                 std::vector<text::TokenId>{grown->added.tokens[0].id});
        QVERIFY(tokenizer->encode("<|form|>").size() > 1); // typed text is text
    }

    void refusalsLeaveNothing()
    {
        QTemporaryDir place;
        const auto target = fs::path(place.path().toStdString()) / "grown";
        QVERIFY(!growVocabulary(tiny(), target, {{{"", false}}, NewRows::Mean, 1}));
        QVERIFY(!growVocabulary(tiny(), target, {{{"x y", false}}, NewRows::Mean, 0}));
        const auto encoder = fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/families/bert";
        const auto refused = growVocabulary(encoder, target, {{{"x y", false}}, NewRows::Mean, 1});
        QVERIFY(!refused && refused.error().what.find("encoder") != std::string::npos);
        QVERIFY(fs::is_empty(place.path().toStdString()));
    }
};

QTEST_APPLESS_MAIN(TestGrowVocabulary)
#include "test_grow_vocabulary.moc"
