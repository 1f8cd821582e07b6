#pragma once

#include "base/json.h"

#include <QByteArray>
#include <QProcess>
#include <QStringList>
#include <QTemporaryDir>

/// What one call of fettle-cli did.
struct CliRun
{
    int code = -1; ///< -1: did not end in time, or was killed
    QByteArray out, err;
    double seconds = 0;

    /// stdout as JSON; null when it is none.
    fettle::Json json() const;
    /// For messages of failed checks.
    QByteArray words() const
    {
        return "exit " + QByteArray::number(code) + "\n" + out.right(2000) + err.right(2000);
    }
};

/// A workspace in a temporary folder, and the program that works on it.
class CliFixture
{
public:
    CliFixture();

    CliRun run(const QStringList& arguments, int timeoutSeconds = 60) const;
    /// Started and not waited for.
    std::unique_ptr<QProcess> start(const QStringList& arguments) const;
    /// Runs through a shell, for limits and redirections; "$CLI" is the program.
    CliRun shell(const QString& script, int timeoutSeconds = 60) const;

    QString path(const QString& name) const { return m_folder.filePath(name); }
    QString write(const QString& name, const QByteArray& bytes) const;
    QString workspace() const { return m_folder.filePath("workspace"); }
    /// Every file of the workspace with its size, without the database's own (WAL, shared memory).
    QStringList workspaceFiles() const;

    /// The tiny model and sixty rows of the summaries sample, imported as "tiny" and "rows".
    QString importTinyModel() const;
    QString importRows() const;

    static QString source(const QString& path);

private:
    void prepare(QProcess& process) const;

    QTemporaryDir m_folder;
};

/// Checks a call that must have failed with one sentence; gives what is wrong, or nothing.
QString problemWith(const CliRun& run, int code, const QStringList& words);

/// A short run of the tiny model: 9 steps, checks at 3, 6 and 9.
QStringList trainArguments(const QString& name, const QStringList& more = {});

#define QDONE(call)                                                                                \
    do {                                                                                           \
        const CliRun doneRun = (call);                                                             \
        QVERIFY2(doneRun.code == 0, doneRun.words().constData());                                  \
    } while (false)
