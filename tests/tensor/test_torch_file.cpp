#include "base/json.h"
#include "tensor/files/pickle.h"
#include "tensor/files/torch_file.h"

#include <QTemporaryDir>
#include <QTest>
#include <cstring>
#include <fstream>

using namespace fettle;
using namespace fettle::tensor;

namespace {

Json golden()
{
    return readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/torch_files.json").value();
}

std::string fromHex(const std::string& hex)
{
    return QByteArray::fromHex(QByteArray::fromStdString(hex)).toStdString();
}

std::string bytesOf(const TorchTensor& tensor)
{
    std::string out;
    TorchFile::read(tensor, [&](const void* data, std::uint64_t size) -> Result<void> {
        out.append(static_cast<const char*>(data), size);
        return {};
    }).value();
    return out;
}

void rows(const char* list)
{
    QTest::addColumn<QString>("name");
    const Json all = golden();
    for (const auto& entry : all[list])
        QTest::newRow(entry["name"].get<std::string>().c_str())
            << QString::fromStdString(entry["name"]);
}

Json entryOf(const char* list, const QString& name)
{
    const Json all = golden();
    for (const auto& entry : all[list]) {
        if (entry["name"] == name.toStdString())
            return entry;
    }
    return {};
}

} // namespace

/// PyTorch files against what the library saved, and files that want to do harm.
class TestTorchFile : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void readsWhatTheReferenceWrote_data() { rows("honest"); }
    void readsWhatTheReferenceWrote()
    {
        QFETCH(QString, name);
        const Json entry = entryOf("honest", name);
        const auto file = TorchFile::open(written(fromHex(entry["file"])));
        QVERIFY2(file, file ? "" : file.error().sentence().c_str());
        QCOMPARE(file->tensors().size(), entry["tensors"].size());
        for (std::size_t i = 0; i < file->tensors().size(); ++i) {
            const auto& tensor = file->tensors()[i];
            const auto& expected = entry["tensors"][i];
            QCOMPARE(tensor.name, expected["name"].get<std::string>());
            QCOMPARE(std::string(nameOf(tensor.dtype)), expected["dtype"].get<std::string>());
            QVERIFY(tensor.shape == expected["shape"].get<std::vector<std::int64_t>>());
            QVERIFY2(bytesOf(tensor) == fromHex(expected["hex"]), tensor.name.c_str());
        }
    }

    void refusesHostileFiles_data() { rows("hostile"); }
    void refusesHostileFiles()
    {
        QFETCH(QString, name);
        const Json entry = entryOf("hostile", name);
        const auto file = TorchFile::open(written(fromHex(entry["file"])));
        QVERIFY(!file);
        const auto sentence = QString::fromStdString(file.error().sentence());
        QVERIFY2(sentence.contains(QString::fromStdString(entry["words"])), qPrintable(sentence));
        QVERIFY(!file.error().remedy.empty());
    }

    void depthIsNoDanger()
    {
        std::string steps = "\x80\x02)" + std::string(1'500'000, '\x85') + ".";
        const auto pickle = runPickle(std::as_bytes(std::span(steps)));
        QVERIFY(pickle);
        steps = "\x80\x02" + std::string(3'000'000, '(') + ".";
        QVERIFY(!runPickle(std::as_bytes(std::span(steps))));
        steps = "\x80\x02)" + std::string(6'000'000, '\x85') + ".";
        QVERIFY(!runPickle(std::as_bytes(std::span(steps))));
    }

    /// Every cut and every changed byte of a small file: a refusal or tensors inside the file.
    void damagedFilesAreSafe()
    {
        const Json entry = entryOf("honest", "views of one storage, zip");
        const std::string good = fromHex(entry["file"]);
        std::size_t accepted = 0;
        for (std::size_t i = 0; i < good.size(); ++i) {
            for (const std::string& bad :
                 {good.substr(0, i), changed(good, i, 0xFF), changed(good, i, 0x01)}) {
                const auto file = TorchFile::open(written(bad));
                accepted += file ? 1 : 0;
                for (const auto& tensor : file ? file->tensors() : std::vector<TorchTensor>())
                    bytesOf(tensor);
            }
        }
        QVERIFY(accepted > 0);
    }

private:
    static std::string changed(std::string bytes, std::size_t place, int mask)
    {
        bytes[place] = static_cast<char>(bytes[place] ^ mask);
        return bytes;
    }
    std::filesystem::path written(const std::string& bytes)
    {
        const std::filesystem::path path =
            std::filesystem::path(m_folder.path().toStdString()) / "weights.bin";
        std::filesystem::remove(path); // the mapping of an earlier one may still be in use
        std::ofstream(path, std::ios::binary) << bytes;
        return path;
    }

    QTemporaryDir m_folder;
};

QTEST_GUILESS_MAIN(TestTorchFile)
#include "test_torch_file.moc"
