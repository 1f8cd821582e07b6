// The window's program: opens a workspace and shows it.
#include "base/log.h"
#include "ui/settings/preferences.h"
#include "ui/shell/main_window.h"
#include "ui/text/words.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QMessageBox>
#include <QStandardPaths>

using namespace fettle;

namespace {

void registerTypes()
{
    qRegisterMetaType<std::vector<jobs::StepDone>>();
    qRegisterMetaType<jobs::Event>();
}

/// The folder given, else the last one, else one in the person's documents.
QString firstWorkspace(const QStringList& arguments)
{
    if (!arguments.isEmpty())
        return QDir(arguments.first()).absolutePath();
    for (const QString& folder : ui::Preferences::instance().recentWorkspaces()) {
        if (QDir(folder).exists())
            return folder;
    }
    return QDir(QStandardPaths::writableLocation(QStandardPaths::DocumentsLocation))
        .filePath("Fettle");
}

ui::MainWindow* openWindow(const QString& folder, QWidget* parent)
{
    auto workspace = store::Workspace::open(ui::ss(folder));
    if (!workspace) {
        auto* box = new QMessageBox(QMessageBox::Warning, "Fettle", ui::sentence(workspace.error()),
                                    QMessageBox::Close, parent);
        box->setAttribute(Qt::WA_DeleteOnClose);
        box->open();
        return nullptr;
    }
    if (auto marked = (*workspace)->markInterrupted(); !marked)
        logWarning("app", "runs could not be checked: {}", marked.error().sentence());
    auto* window = new ui::MainWindow(*workspace);
    window->setAttribute(Qt::WA_DeleteOnClose);
    QObject::connect(window, &ui::MainWindow::workspaceWanted, window,
                     [window](const QString& next) { openWindow(next, window); });
    window->show();
    return window;
}

} // namespace

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    QApplication::setOrganizationName("Fettle");
    QApplication::setApplicationName("Fettle");
    QApplication::setApplicationVersion(FETTLE_VERSION);
    QApplication::setDesktopFileName("fettle");
    registerTypes();
    QCommandLineParser parser;
    parser.setApplicationDescription("Fine-tune small language models on your own computer.");
    parser.addHelpOption();
    parser.addVersionOption();
    parser.addOption({"workspace", "Folder of the workspace to open.", "folder"});
    parser.addOption(
        {"recipe", "Show the plan of a run with the settings of this recipe.", "recipe"});
    parser.addPositionalArgument("workspace", "Folder of the workspace to open.", "[workspace]");
    parser.process(app);
    ui::Preferences::instance().applyLook();
    QStringList folders = parser.positionalArguments();
    if (parser.isSet("workspace"))
        folders.prepend(parser.value("workspace"));
    auto* window = openWindow(firstWorkspace(folders), nullptr);
    if (window && parser.isSet("recipe"))
        window->go("plan", "recipe:" + parser.value("recipe"));
    return QApplication::exec();
}
