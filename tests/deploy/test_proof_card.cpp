#include "base/atomic_file.h"
#include "deploy/proof_card.h"

#include <QTemporaryDir>
#include <QtTest>
#include <fstream>

using namespace fettle;
using namespace fettle::deploy;
namespace fs = std::filesystem;

/// The card beside an export, and what it catches.
class TestProofCard : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init();
    void anUntouchedFolderIsIntact();
    void corruptionIsCaught_data();
    void corruptionIsCaught();
    void damagedCards_data();
    void damagedCards();
    void theTextSaysWhatWasMeasured();

private:
    fs::path folder() const { return fs::path(m_folder->path().toStdString()) / "export"; }
    void write(const std::string& name, const std::string& text) const
    {
        fs::create_directories((folder() / name).parent_path());
        std::ofstream(folder() / name, std::ios::binary) << text;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestProofCard::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    write("adapter_model.safetensors", std::string(5000, 'a'));
    write("model-00001-of-00002.safetensors", std::string(5000, 'b'));
    write("model-00002-of-00002.safetensors", std::string(5000, 'c'));
    write("tokenizer.json", "{\"model\": {}}");
    write("1_Pooling/config.json", "{}");
    write(".cache", "not a part");
    const Json proof = {{"passed", true},
                        {"prompts", 8},
                        {"rows", 3},
                        {"tokens", 120},
                        {"weights", 21},
                        {"largestLogitDifference", 2.5e-6},
                        {"limit", 1e-3},
                        {"perplexityBefore", 12.25},
                        {"perplexityAfter", 12.25}};
    writeProofCard(
        folder(),
        {{"form", "merged"}, {"type", "float32"}, {"from", {{"model", "tiny"}}}, {"proof", proof}})
        .value();
}

void TestProofCard::anUntouchedFolderIsIntact()
{
    const auto found = verifyExport(folder()).value();
    QVERIFY(found.intact());
    QCOMPARE(found.files, std::size_t(6)); // the five, and PROOF.md
    QCOMPARE(found.cardDigest.size(), std::size_t(64));
    QVERIFY(found.card["prompts"].size() >= 8);
    // A copy is as good.
    fs::copy(folder(), folder().parent_path() / "copy", fs::copy_options::recursive);
    QVERIFY(verifyExport(folder().parent_path() / "copy").value().intact());
}

void TestProofCard::corruptionIsCaught_data()
{
    QTest::addColumn<QString>("kind");
    QTest::addColumn<QString>("file");
    QTest::newRow("a byte of the adapter") << "flip"
                                           << "adapter_model.safetensors";
    QTest::newRow("a byte of the weights") << "flip"
                                           << "model-00001-of-00002.safetensors";
    QTest::newRow("a truncated shard") << "truncate"
                                       << "model-00002-of-00002.safetensors";
    QTest::newRow("an exchanged tokenizer") << "exchange"
                                            << "tokenizer.json";
    QTest::newRow("a file below") << "exchange"
                                  << "1_Pooling/config.json";
    QTest::newRow("a changed text of the card") << "exchange"
                                                << "PROOF.md";
    QTest::newRow("a missing shard") << "remove"
                                     << "model-00001-of-00002.safetensors";
    QTest::newRow("code beside it") << "add"
                                    << "modeling_tiny.py";
    QTest::newRow("a link in place of a file") << "link"
                                               << "tokenizer.json";
}

void TestProofCard::corruptionIsCaught()
{
    QFETCH(QString, kind);
    QFETCH(QString, file);
    const auto path = folder() / file.toStdString();
    if (kind == "flip") {
        auto text = readFile(path).value();
        text[2500] ^= 1;
        write(file.toStdString(), text);
    } else if (kind == "truncate") {
        fs::resize_file(path, 4999);
    } else if (kind == "exchange" || kind == "add") {
        write(file.toStdString(), "{\"model\": []}");
    } else if (kind == "remove") {
        fs::remove(path);
    } else {
        fs::remove(path);
        fs::create_symlink(folder() / "1_Pooling/config.json", path);
        const auto found = verifyExport(folder());
        QVERIFY(!found && found.error().where == "tokenizer.json");
        return;
    }
    const auto found = verifyExport(folder()).value();
    QVERIFY(!found.intact());
    const auto& list = kind == "remove" ? found.missing
                       : kind == "add"  ? found.added
                                        : found.changed;
    QCOMPARE(list, std::vector<std::string>{file.toStdString()});
    QCOMPARE(found.changed.size() + found.missing.size() + found.added.size(), std::size_t(1));
}

void TestProofCard::damagedCards_data()
{
    QTest::addColumn<QString>("text");
    QTest::newRow("no JSON") << "{";
    QTest::newRow("a list") << "[]";
    QTest::newRow("no files") << "{\"files\": []}";
    QTest::newRow("a file without digest") << R"({"files": [{"name": "a", "bytes": 1}]})";
    QTest::newRow("a negative size") << R"({"files": [{"name": "a", "bytes": -1, "sha256": ""}]})";
    QTest::newRow("a file twice")
        << R"({"files": [{"name": "a", "bytes": 1, "sha256": ""}, {"name": "a", "bytes": 1, "sha256": ""}]})";
}

void TestProofCard::damagedCards()
{
    QFETCH(QString, text);
    write(kProofFile, text.toStdString());
    QVERIFY(!verifyExport(folder()));
    fs::remove(folder() / kProofFile);
    const auto none = verifyExport(folder());
    QVERIFY(!none && none.error().code == ErrorCode::NotFound);
}

void TestProofCard::theTextSaysWhatWasMeasured()
{
    const auto text = readFile(folder() / kProofText).value();
    for (const char* part : {"merged, float32", "**passed**", "2.5e-06", "12.25",
                             "| tokenizer.json | 13 |", "fettle-cli export verify"})
        QVERIFY2(text.find(part) != std::string::npos, part);
    writeProofCard(folder(), {{"form", "merged"}, {"proof", {{"passed", false}}}}).value();
    QVERIFY(readFile(folder() / kProofText).value().find("NOT passed") != std::string::npos);
}

QTEST_GUILESS_MAIN(TestProofCard)
#include "test_proof_card.moc"
