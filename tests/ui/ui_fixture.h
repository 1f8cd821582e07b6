#pragma once

#include "recipes/front_door.h"
#include "ui/settings/preferences.h"
#include "ui/shell/main_window.h"
#include "ui/text/words.h"

#include <QApplication>
#include <QDir>
#include <QFile>
#include <QSettings>
#include <QTemporaryDir>
#include <QtTest>

namespace fettle::ui::test {

/// Settings of the test go into a folder of their own, not into the person's.
inline void isolateSettings(const QTemporaryDir& folder)
{
    QApplication::setOrganizationName("Fettle");
    QApplication::setApplicationName("FettleTest");
    QSettings::setDefaultFormat(QSettings::IniFormat);
    QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, folder.path());
    qputenv("FETTLE_RESOURCES", FETTLE_SOURCE_DIR "/resources");
}

/// Puts the tiny model of the fixtures into a workspace.
inline bool addTinyModel(const std::shared_ptr<store::Workspace>& workspace)
{
    jobs::Worker worker([] { recipes::prepareWorkerThread(); });
    auto handle = worker.submit(recipes::makeModelImportJob(
        workspace, FETTLE_SOURCE_DIR "/tests/fixtures/tiny_llama", "tiny"));
    handle->wait();
    for (const auto& event : handle->events()->takeAll()) {
        if (const auto* failed = std::get_if<jobs::Failed>(&event))
            qWarning("%s", failed->error.sentence().c_str());
    }
    return !workspace->models().empty();
}

/// letters.csv: `rows` made-up questions with short answers.
inline QString writeLetters(const QString& folder, int rows)
{
    const QString path = folder + "/letters.csv";
    QFile file(path);
    if (!file.open(QIODevice::WriteOnly))
        return {};
    const QStringList things{"heart", "knee", "lung", "ear", "hand"};
    file.write("question,answer\n");
    for (int i = 0; i < rows; ++i)
        file.write(QStringLiteral("What is number %1 of the %2?,The %2 has number %1.\n")
                       .arg(i)
                       .arg(things[i % 5])
                       .toUtf8());
    return path;
}

inline QWidget* control(QWidget* window, const QString& name)
{
    auto* found = window->findChild<QWidget*>(name);
    if (!found)
        qWarning("there is no control %s", qPrintable(name));
    return found;
}

/// One press and release on a control found by name.
inline bool click(QWidget* window, const QString& name)
{
    QWidget* target = control(window, name);
    if (!target || !target->isVisible() || !target->isEnabled())
        return false;
    QTest::mouseClick(target, Qt::LeftButton);
    return true;
}

inline bool ready(QWidget* window, const QString& name)
{
    auto* found = window->findChild<QWidget*>(name);
    return found && found->isVisible() && found->isEnabled();
}

} // namespace fettle::ui::test
