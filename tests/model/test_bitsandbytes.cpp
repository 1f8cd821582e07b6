#include "golden.h"
#include "model/import/import.h"
#include "model/load.h"
#include "tensor/files/safetensors.h"

#include <ATen/ATen.h>
#include <QTemporaryDir>
#include <QTest>
#include <functional>
#include <torch/csrc/autograd/grad_mode.h>

using namespace fettle;
namespace fs = std::filesystem;

namespace {

const char* const kKinds[] = {"nf4", "fp4", "int8"};

fs::path fixtures() { return tests::sourceFolder() / "tests/fixtures"; }

/// One weight file's tensors, to be changed and written again.
struct Stored
{
    tensor::TensorPlan plan;
    std::string bytes;
};
using Change = std::function<void(std::map<std::string, Stored>&)>;

/// A compressed model with its tokenizer, as a hub would hold it.
void lay(const fs::path& folder, const std::string& kind, const Change& change = {})
{
    fs::create_directories(folder);
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
        fs::copy_file(fixtures() / "tiny_llama" / name, folder / name);
    const auto source = fixtures() / "bitsandbytes" / kind;
    fs::copy_file(source / "config.json", folder / "config.json");
    if (!change) {
        fs::copy_file(source / "model.safetensors", folder / "model.safetensors");
        return;
    }
    const auto file = tensor::SafetensorsFile::open(source / "model.safetensors").value();
    std::map<std::string, Stored> all;
    for (const auto& info : file.tensors())
        all[info.name] = {{info.name, info.dtype, info.shape},
                          {reinterpret_cast<const char*>(info.bytes.data()), info.bytes.size()}};
    change(all);
    std::vector<tensor::TensorToWrite> list;
    for (const auto& [name, stored] : all)
        list.push_back({stored.plan, stored.bytes.data(), stored.bytes.size()});
    tensor::writeSafetensors(folder / "model.safetensors", list).value();
}

} // namespace

/// Folders that bitsandbytes has quantised become the float32 numbers that they stand for.
class TestBitsandbytes : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void answersAsTheDecodedWeights_data()
    {
        QTest::addColumn<QString>("kind");
        for (const auto* kind : kKinds)
            QTest::newRow(kind) << kind;
    }
    void answersAsTheDecodedWeights()
    {
        QFETCH(QString, kind);
        const QTemporaryDir made;
        const fs::path folder = made.path().toStdString();
        lay(folder / "in", kind.toStdString());
        const auto seen = model::inspectModel(folder / "in");
        QVERIFY2(seen, seen ? "" : seen.error().what.c_str());
        QCOMPARE(seen->notes.size(), std::size_t{1});
        const auto imported = model::importModel(folder / "in", folder / "out", {}, {});
        QVERIFY2(imported, imported ? "" : imported.error().what.c_str());
        const auto files = model::ModelFiles::open(folder / "out").value();
        QVERIFY(!files.config().raw.contains("quantization_config"));
        const auto decoder = model::loadDecoder(files, c10::kCPU, at::kFloat).value();
        const auto expected = readJsonFile(fixtures() / "bitsandbytes/expected.json").value();
        const at::NoGradGuard noGrad;
        model::PackedTokens tokens;
        tokens.add(expected["ids"].get<std::vector<std::int32_t>>());
        const auto logits = decoder->logits(decoder->hidden(tokens));
        const auto& wanted = expected[kind.toStdString()];
        const auto last = wanted["lastLogits"].get<std::vector<double>>();
        for (std::size_t i = 0; i < last.size(); ++i)
            QVERIFY(tests::near(logits[-1][static_cast<std::int64_t>(16 * i)].item<double>(),
                                last[i], 1e-4, 1e-5));
        QVERIFY(tests::near(logits.to(at::kDouble).sum().item<double>(),
                            wanted["sum"].get<double>(), 1e-4, 1e-2));
    }

    void brokenFilesAreRefused_data()
    {
        QTest::addColumn<QString>("kind");
        QTest::addColumn<QString>("part");
        QTest::addColumn<QString>("how");
        const QString matrix = "model.layers.1.mlp.down_proj.weight";
        QTest::newRow("no maxima") << "nf4" << matrix + ".absmax"
                                   << "gone";
        QTest::newRow("no nested maxima table") << "nf4" << matrix + ".nested_quant_map"
                                                << "gone";
        QTest::newRow("no description") << "nf4" << matrix + ".quant_state.bitsandbytes__nf4"
                                        << "gone";
        QTest::newRow("a description that is none")
            << "fp4" << matrix + ".quant_state.bitsandbytes__fp4"
            << "garbled";
        QTest::newRow("a block of another size")
            << "fp4" << matrix + ".quant_state.bitsandbytes__fp4"
            << "blocksize";
        QTest::newRow("another shape") << "fp4" << matrix + ".quant_state.bitsandbytes__fp4"
                                       << "shape";
        QTest::newRow("too few codes") << "fp4" << matrix << "short";
        QTest::newRow("no scales")
            << "int8" << QString("model.layers.1.mlp.down_proj.SCB") << "gone";
        QTest::newRow("a matrix that is missing") << "int8" << matrix << "gone";
    }
    void brokenFilesAreRefused()
    {
        QFETCH(QString, kind);
        QFETCH(QString, part);
        QFETCH(QString, how);
        const QTemporaryDir made;
        const fs::path folder = made.path().toStdString();
        const auto name = part.toStdString();
        lay(folder / "in", kind.toStdString(), [&](std::map<std::string, Stored>& all) {
            auto& own = all.at(name);
            const auto replace = [&](const std::string& text, const std::string& by) {
                const auto at = own.bytes.find(text);
                QVERIFY(at != std::string::npos);
                own.bytes.replace(at, text.size(), by);
            };
            if (how == "gone")
                all.erase(name);
            else if (how == "garbled")
                own.bytes[0] = '?';
            else if (how == "blocksize")
                replace("\"blocksize\": 64", "\"blocksize\": 65");
            else if (how == "shape")
                replace("[32, 64]", "[64, 32]");
            else
                own.bytes.resize(own.bytes.size() - 1), own.plan.shape[0] -= 1;
        });
        const auto imported = model::importModel(folder / "in", folder / "out", {}, {});
        QVERIFY(!imported);
        QVERIFY2(!imported.error().remedy.empty(), imported.error().what.c_str());
        QVERIFY(!fs::exists(folder / "out"));
    }
};

QTEST_GUILESS_MAIN(TestBitsandbytes)
#include "test_bitsandbytes.moc"
