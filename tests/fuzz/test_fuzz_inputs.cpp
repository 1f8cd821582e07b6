#include "base/json.h"
#include "fuzz/fuzz_target.h"

#include <QElapsedTimer>
#include <QTest>
#include <algorithm>
#include <filesystem>

using namespace fettle;

namespace {

constexpr qint64 kLongest = 10'000; // ms for one input, sanitizers included; libFuzzer's limit too
constexpr qint64 kForChanges = 1'000; // ms for the changed copies of a target

std::uint32_t nextRandom()
{
    static std::uint64_t state = 0x9E3779B97F4A7C15ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<std::uint32_t>(state >> 16);
}

/// Some bytes altered, taken out, doubled, or replaced by numbers at which readers break.
std::string changed(std::string part, std::size_t maxSize)
{
    constexpr std::uint64_t kNumbers[] = {0,          1,          0x7fffffff,
                                          0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                          ~0ull,      1ull << 42, (1ull << 42) + 1};
    for (std::uint32_t times = 1 + nextRandom() % 3; times > 0; --times) {
        const std::size_t at = part.empty() ? 0 : nextRandom() % part.size();
        switch (nextRandom() % 5) {
        case 0:
            if (!part.empty())
                part[at] = static_cast<char>(part[at] ^ (1 << nextRandom() % 8));
            break;
        case 1:
            if (!part.empty())
                part[at] = static_cast<char>(nextRandom());
            break;
        case 2:
            part.erase(at, 1 + nextRandom() % 16);
            break;
        case 3:
            part.insert(at, part.substr(at, 1 + nextRandom() % 16));
            break;
        default: {
            const auto number = kNumbers[nextRandom() % std::size(kNumbers)];
            const std::size_t width = 1u << nextRandom() % 4;
            part.replace(at, std::min(width, part.size() - at),
                         reinterpret_cast<const char*>(&number), width);
        }
        }
    }
    part.resize(std::min(part.size(), maxSize));
    return part;
}

} // namespace

/// The fuzz targets without libFuzzer. An input that breaks a reader ends this program; its name is
/// the last line of the log.
class TestFuzzInputs : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void seeds_data() { rows(); }
    void seeds()
    {
        const auto& target = current();
        for (const auto& seed : fuzz::seedsOf(target.name))
            timed(target, seed);
    }

    /// Every input that once broke a reader.
    void findings_data()
    {
        QTest::addColumn<QString>("target");
        QTest::addColumn<QString>("file");
        const std::filesystem::path folder = FETTLE_SOURCE_DIR "/tests/fuzz/inputs";
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
            if (!entry.is_regular_file())
                continue;
            const auto name = entry.path().parent_path().filename().string();
            QTest::newRow((name + "/" + entry.path().filename().string()).c_str())
                << QString::fromStdString(name) << QString::fromStdString(entry.path().string());
        }
    }
    void findings()
    {
        QFETCH(QString, file);
        timed(current(), readFile(file.toStdString()).value());
    }

    void changedSeeds_data() { rows(); }
    void changedSeeds()
    {
        const auto& target = current();
        const auto seeds = fuzz::seedsOf(target.name);
        QElapsedTimer timer;
        timer.start();
        std::size_t runs = 0;
        for (; timer.elapsed() < kForChanges; ++runs) {
            const auto& seed = seeds[nextRandom() % seeds.size()];
            std::string input;
            if (target.mutate && nextRandom() % 4 != 0)
                input = target.mutate(seed, target.maxSize, nextRandom(), changed);
            if (input.empty())
                input = changed(seed, target.maxSize);
            timed(target, input);
        }
        qInfo("%s: %zu changed inputs", std::string(target.name).c_str(), runs);
    }

private:
    static void rows()
    {
        QTest::addColumn<QString>("target");
        for (const auto& target : fuzz::targets())
            QTest::newRow(std::string(target.name).c_str())
                << QString::fromStdString(std::string(target.name));
    }
    static const fuzz::Target& current()
    {
        const QString name = *static_cast<QString*>(QTest::qData("target", qMetaTypeId<QString>()));
        return *fuzz::findTarget(name.toStdString());
    }
    static void timed(const fuzz::Target& target, const std::string& input)
    {
        QElapsedTimer timer;
        timer.start();
        target.run(input);
        QVERIFY2(timer.elapsed() < kLongest, "an input takes too long");
    }
};

QTEST_GUILESS_MAIN(TestFuzzInputs)
#include "test_fuzz_inputs.moc"
