#include <QRegularExpression>
#include <QtTest>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace fs = std::filesystem;

namespace {

const fs::path kSource = FETTLE_SOURCE_DIR;
const fs::path kPrograms = FETTLE_BIN_DIR;

/// The rooms of core/, bottom to top. A file belongs to the longest entry that its path starts
/// with.
const std::vector<std::string> kRooms = {
    "base",   "jobs",         "data", "text",   "store",   "tensor/files",
    "tensor", "model/import", "hub",  "model",  "methods", "objectives",
    "train",  "generate",     "eval", "deploy", "report",  "recipes"};

struct Include
{
    std::string name;
    bool quoted = false;
    int line = 0;
};

std::vector<Include> includesOf(const fs::path& file)
{
    std::vector<Include> found;
    std::ifstream in(file);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        const auto start = line.find_first_not_of(" \t");
        if (start == std::string::npos || line.compare(start, 8, "#include") != 0)
            continue;
        const auto open = line.find_first_of("\"<", start + 8);
        const auto close = open == std::string::npos ? open : line.find_first_of("\">", open + 1);
        if (close != std::string::npos)
            found.push_back({line.substr(open + 1, close - open - 1), line[open] == '"', number});
    }
    return found;
}

std::vector<fs::path> sourcesUnder(const fs::path& folder)
{
    static const std::set<std::string> endings = {".cpp", ".h", ".inl", ".inc", ".cu", ".cuh"};
    std::vector<fs::path> files;
    if (!fs::exists(folder))
        return files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file() && endings.contains(entry.path().extension().string()))
            files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
}

/// Index in kRooms of a path relative to core/; -1 for another path. The descriptions of the
/// families and the importers that read them are one room without LibTorch.
int roomOf(const std::string& path)
{
    if (path.starts_with("model/architectures/"))
        return roomOf("model/import/");
    int best = -1;
    std::size_t length = 0;
    for (std::size_t i = 0; i < kRooms.size(); ++i) {
        if (path.starts_with(kRooms[i] + "/") && kRooms[i].size() > length) {
            best = static_cast<int>(i);
            length = kRooms[i].size();
        }
    }
    return best;
}

bool isTorch(const std::string& name)
{
    for (const char* start : {"torch/", "ATen/", "c10/", "caffe2/"}) {
        if (name.starts_with(start))
            return true;
    }
    return false;
}

/// Where a quoted include of `from` lies: beside it, under core/, under the source tree or app/.
std::optional<fs::path> resolved(const fs::path& from, const std::string& name)
{
    for (const auto& base : {from.parent_path(), kSource / "core", kSource, kSource / "app"}) {
        if (fs::exists(base / name))
            return fs::canonical(base / name);
    }
    return {};
}

/// The file and everything that it includes from this project, each with a file that includes it.
std::map<fs::path, fs::path> closureOf(const fs::path& file)
{
    std::map<fs::path, fs::path> seen = {{fs::canonical(file), {}}};
    std::vector<fs::path> waiting = {fs::canonical(file)};
    while (!waiting.empty()) {
        const fs::path at = waiting.back();
        waiting.pop_back();
        for (const auto& include : includesOf(at)) {
            const auto target = include.quoted ? resolved(at, include.name) : std::nullopt;
            if (target && seen.try_emplace(*target, at).second)
                waiting.push_back(*target);
        }
    }
    return seen;
}

QString place(const fs::path& file, int line)
{
    return QString::fromStdString(fs::relative(file, kSource).string()) + ":" +
           QString::number(line);
}

/// Names of the libraries that a program maps at its start.
QStringList librariesOf(const std::string& program)
{
    QProcess ldd;
    ldd.start("ldd", {QString::fromStdString((kPrograms / program).string())});
    if (!ldd.waitForFinished())
        return {};
    QStringList names;
    for (const auto& line : ldd.readAllStandardOutput().split('\n')) {
        const auto name = QString::fromUtf8(line).trimmed().section(' ', 0, 0);
        if (!name.isEmpty())
            names << name.section('/', -1);
    }
    return names;
}

} // namespace

class TestArch : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void roomsAreKnown();
    void includesPointDown();
    void coreKnowsNoQt();
    void windowAndCommandLineSeeNoTensor();
    void torchFreeRoomsSeeNoTensor();
    void stepsReadNoSingleNumber();
    void everyFileIsBuiltWithoutQtKeywords();
    void programsMapWhatTheyMay_data();
    void programsMapWhatTheyMay();
};

void TestArch::roomsAreKnown()
{
    QStringList unknown;
    for (const auto& file : sourcesUnder(kSource / "core")) {
        if (roomOf(fs::relative(file, kSource / "core").string()) < 0)
            unknown << place(file, 1);
    }
    QVERIFY2(unknown.isEmpty(), qPrintable(unknown.join('\n')));
}

void TestArch::includesPointDown()
{
    QStringList wrong;
    int checked = 0;
    for (const auto& file : sourcesUnder(kSource / "core")) {
        const std::string own = fs::relative(file, kSource / "core").string();
        for (const auto& include : includesOf(file)) {
            const int target = roomOf(include.name);
            if (!include.quoted || target < 0)
                continue;
            ++checked;
            if (target > roomOf(own))
                wrong << place(file, include.line) + " includes " +
                             QString::fromStdString(include.name) + " of a higher room";
        }
    }
    QVERIFY(checked > 100);
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
}

void TestArch::coreKnowsNoQt()
{
    QStringList wrong;
    for (const auto& file : sourcesUnder(kSource / "core")) {
        for (const auto& include : includesOf(file)) {
            const bool qt = include.name.starts_with("Qt") ||
                            (include.name.size() > 1 && include.name[0] == 'Q' &&
                             std::isupper(include.name[1]));
            if (qt || include.name.starts_with("ui/") || include.name.starts_with("qcustomplot"))
                wrong << place(file, include.line);
        }
    }
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
}

void TestArch::windowAndCommandLineSeeNoTensor()
{
    QStringList wrong;
    auto files = sourcesUnder(kSource / "ui");
    const auto app = sourcesUnder(kSource / "app");
    files.insert(files.end(), app.begin(), app.end());
    QVERIFY(!app.empty());
    for (const auto& file : files) {
        for (const auto& [seen, from] : closureOf(file)) {
            for (const auto& include : includesOf(seen)) {
                if (isTorch(include.name))
                    wrong << place(file, 1) + " reaches " + place(seen, include.line);
            }
        }
    }
    wrong.removeDuplicates();
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
}

void TestArch::torchFreeRoomsSeeNoTensor()
{
    QStringList wrong;
    for (const char* room : {"base", "jobs", "data", "text", "store", "eval", "report", "hub"}) {
        for (const auto& file : sourcesUnder(kSource / "core" / room)) {
            for (const auto& [seen, from] : closureOf(file)) {
                for (const auto& include : includesOf(seen)) {
                    if (isTorch(include.name))
                        wrong << place(file, 1) + " reaches " + place(seen, include.line);
                }
            }
        }
    }
    wrong.removeDuplicates();
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
}

/// A number read from a device stops the step until the device is through: tensor::readTogether reads once.
void TestArch::stepsReadNoSingleNumber()
{
    QStringList wrong;
    static const QRegularExpression item(R"(\.item\b)");
    for (const char* room : {"model", "objectives", "train"}) {
        const auto files = sourcesUnder(kSource / "core" / room);
        QVERIFY(!files.empty());
        for (const auto& path : files) {
            QFile file(QString::fromStdString(path.string()));
            QVERIFY(file.open(QIODevice::ReadOnly));
            for (int line = 1; !file.atEnd(); ++line) {
                if (item.match(QString::fromUtf8(file.readLine())).hasMatch())
                    wrong << place(path, line);
            }
        }
    }
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
}

void TestArch::everyFileIsBuiltWithoutQtKeywords()
{
    QFile file(
        QString::fromStdString((kPrograms.parent_path() / "compile_commands.json").string()));
    if (!file.open(QIODevice::ReadOnly))
        QSKIP("this build keeps no compile_commands.json");
    QStringList wrong;
    int checked = 0;
    for (const auto& entry : QJsonDocument::fromJson(file.readAll()).array()) {
        const auto object = entry.toObject();
        const auto source = object["file"].toString();
        if (source.contains("_autogen/") || source.contains("cmake_pch"))
            continue;
        ++checked;
        if (!object["command"].toString().contains("-DQT_NO_KEYWORDS"))
            wrong << source;
    }
    QVERIFY(checked > 50);
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
}

void TestArch::programsMapWhatTheyMay_data()
{
    QTest::addColumn<QString>("program");
    QTest::addColumn<bool>("mayUseQt");
    QTest::newRow("the command line") << "fettle-cli" << false;
    QTest::newRow("the window") << "fettle" << true;
}

void TestArch::programsMapWhatTheyMay()
{
    QFETCH(QString, program);
    QFETCH(bool, mayUseQt);
    const auto libraries = librariesOf(program.toStdString());
    QVERIFY2(libraries.contains("libc10.so"),
             qPrintable(program + " was not found, or maps no LibTorch"));
    QVERIFY(mayUseQt || libraries.filter(QRegularExpression("^libQ")).isEmpty());
    // Two copies of protobuf in one process crash beside sentencepiece.
    QCOMPARE(libraries.filter("libprotobuf").join(' '), QString());
    // Two OpenMP runtimes would each start a team of threads.
    const auto openMp = libraries.filter(QRegularExpression("^lib(gomp|omp|iomp5)[-.]"));
    QVERIFY2(openMp.size() == 1, qPrintable(openMp.join(' ')));
    // CUDA is loaded when it is there, never linked.
    QCOMPARE(libraries.filter(QRegularExpression("^lib(torch_cuda|c10_cuda)")).join(' '),
             QString());
}

QTEST_GUILESS_MAIN(TestArch)
#include "test_arch.moc"
