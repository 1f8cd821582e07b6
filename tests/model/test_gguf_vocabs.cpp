#include "model/import/gguf_metadata.h"
#include "model/import_helpers.h"
#include "text/tokenizer_json.h"

#include <QtTest>

using namespace fettle;
using namespace fettle::testing;
namespace fs = std::filesystem;

/// Real tokenizers: the vocabulary-only files in llama.cpp's folder "models", with the token ids
/// that it gives to texts. The folder is named by FETTLE_GGUF_VOCABS; the files are too large to
/// keep here.
class TestGgufVocabs : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void equalLlamaCpp_data()
    {
        QTest::addColumn<QString>("name");
        for (const char* name :
             {"bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4",
              "gpt-2", "llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2", "refact", "starcoder"})
            QTest::newRow(name) << QString(name);
    }
    void equalLlamaCpp()
    {
        const auto folder = qEnvironmentVariable("FETTLE_GGUF_VOCABS");
        if (folder.isEmpty())
            QSKIP("FETTLE_GGUF_VOCABS does not name a folder with vocabulary files");
        QFETCH(QString, name);
        const auto path = folder.toStdString() + "/ggml-vocab-" + name.toStdString() + ".gguf";
        const auto file = tensor::GgufFile::open(path);
        QVERIFY2(file, file ? "" : file.error().sentence().c_str());
        const auto made = text::tokenizerJsonFromGguf(model::tokenizerFromGguf(*file).value());
        QVERIFY2(made, made ? "" : made.error().sentence().c_str());
        const auto tokenizer = text::JsonTokenizer::fromJson((*made)["tokenizer.json"]).value();
        const auto texts = QString::fromStdString(readFile(path + ".inp").value())
                               .split("\n__ggml_vocab_test__\n");
        const auto lines = QString::fromStdString(readFile(path + ".out").value()).split('\n');
        QVERIFY(texts.size() > 40 && lines.size() >= texts.size());
        for (qsizetype i = 0; i < texts.size(); ++i) {
            std::vector<text::TokenId> expected;
            for (const auto& number : lines[i].split(' ', Qt::SkipEmptyParts))
                expected.push_back(number.toInt());
            QVERIFY2(tokenizer->encode(texts[i].toStdString()) == expected,
                     qPrintable(QString("text %1").arg(i)));
        }
    }
};

QTEST_GUILESS_MAIN(TestGgufVocabs)
#include "test_gguf_vocabs.moc"
