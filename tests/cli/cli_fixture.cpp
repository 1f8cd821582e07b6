#include "cli/cli_fixture.h"

#include <QDirIterator>
#include <QElapsedTimer>
#include <QFile>
#include <QRegularExpression>

namespace {

const QString kProgram = QStringLiteral(FETTLE_BIN_DIR) + "/fettle-cli";

CliRun finish(QProcess& process, int timeoutSeconds)
{
    QElapsedTimer timer;
    timer.start();
    CliRun run;
    if (process.waitForFinished(timeoutSeconds * 1000) &&
        process.exitStatus() == QProcess::NormalExit)
        run.code = process.exitCode();
    else
        process.kill(), process.waitForFinished();
    if (process.error() == QProcess::FailedToStart)
        run.err = "the program could not be started";
    run.out = process.readAllStandardOutput();
    run.err = process.readAllStandardError();
    run.seconds = static_cast<double>(timer.elapsed()) / 1000;
    return run;
}

} // namespace

fettle::Json CliRun::json() const { return fettle::Json::parse(out.toStdString(), nullptr, false); }

CliFixture::CliFixture() { QDir().mkpath(workspace()); }

QString CliFixture::source(const QString& path)
{
    return QStringLiteral(FETTLE_SOURCE_DIR) + "/" + path;
}

void CliFixture::prepare(QProcess& process) const
{
    auto environment = QProcessEnvironment::systemEnvironment();
    environment.insert("FETTLE_WORKSPACE", workspace());
    environment.insert("HOME", m_folder.path());
    environment.insert("CLI", kProgram);
    // The tiny model needs no team of threads, and tests may run side by side.
    environment.insert("OMP_THREAD_LIMIT", "1");
    process.setProcessEnvironment(environment);
    process.setWorkingDirectory(m_folder.path());
}

CliRun CliFixture::run(const QStringList& arguments, int timeoutSeconds) const
{
    QProcess process;
    prepare(process);
    process.start(kProgram, arguments);
    return finish(process, timeoutSeconds);
}

std::unique_ptr<QProcess> CliFixture::start(const QStringList& arguments) const
{
    auto process = std::make_unique<QProcess>();
    prepare(*process);
    process->start(kProgram, arguments);
    return process;
}

CliRun CliFixture::shell(const QString& script, int timeoutSeconds) const
{
    QProcess process;
    prepare(process);
    process.start("sh", {"-c", script});
    return finish(process, timeoutSeconds);
}

QString CliFixture::write(const QString& name, const QByteArray& bytes) const
{
    QFile file(path(name));
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size())
        qFatal("cannot write %s", qPrintable(name));
    return path(name);
}

QStringList CliFixture::workspaceFiles() const
{
    QStringList files;
    QDirIterator all(workspace(), QDir::Files | QDir::Hidden, QDirIterator::Subdirectories);
    while (all.hasNext()) {
        const QString file = all.next();
        const QString name = QDir(workspace()).relativeFilePath(file);
        if (!name.contains(QRegularExpression("(-wal|-shm|\\.db|lock)$")))
            files << name + " " + QString::number(all.fileInfo().size());
    }
    files.sort();
    return files;
}

QString CliFixture::importTinyModel() const
{
    const auto done = run({"model", "import", source("tests/fixtures/tiny_llama"), "--as", "tiny"});
    return done.code == 0 ? QString() : QString::fromUtf8(done.words());
}

QString CliFixture::importRows() const
{
    QFile sample(source("resources/samples/package-summaries.jsonl"));
    if (!sample.open(QIODevice::ReadOnly))
        return "the sample is not there";
    QByteArray lines;
    for (int i = 0; i < 60; ++i) {
        auto row = fettle::Json::parse(sample.readLine().toStdString());
        row.erase("split"); // so that --split decides
        lines += QByteArray::fromStdString(row.dump()) + "\n";
    }
    const auto file = write("rows.jsonl", lines);
    const auto done = run({"data", "import", file, "--as", "rows", "--split", "60/20/20"});
    return done.code == 0 ? QString() : QString::fromUtf8(done.words());
}

QString problemWith(const CliRun& run, int code, const QStringList& words)
{
    if (run.code != code)
        return QString("exit code is %1, not %2: %3")
            .arg(run.code)
            .arg(code)
            .arg(QString::fromUtf8(run.err.right(500)));
    const QString text = QString::fromUtf8(run.err).trimmed();
    const auto lines = text.split('\n');
    const QString sentence = lines.last();
    if (!sentence.startsWith("fettle-cli: ") || !sentence.endsWith('.'))
        return "the last line is no sentence of the program: " + text;
    if (lines.filter(QRegularExpression("^fettle-cli: ")).size() != 1)
        return "there is more than one sentence: " + text;
    if (!sentence.mid(12).contains(". "))
        return "there is no remedy: " +
               sentence; // the place stands before ": ", the remedy behind ". "
    for (const auto& word : words) {
        if (!sentence.contains(word, Qt::CaseInsensitive))
            return QString("\"%1\" is not named in: %2").arg(word, sentence);
    }
    return {};
}

QStringList trainArguments(const QString& name, const QStringList& more)
{
    QStringList arguments = {"train", "--model", "tiny", "--data", "rows", "--name", name};
    for (const char* setting :
         {"training.maxSteps=9", "training.passes=10", "training.batchSize=4",
          "training.maxLength=512", "checks.everySteps=3", "checks.answerLength=4"})
        arguments << "--set" << setting;
    return arguments + more;
}
