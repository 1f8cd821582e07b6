// Pictures of every place, empty and full: ui_shots FOLDER [light|dark|contrast] [MODEL-FOLDER]
// [WORKSPACE]
#include "ui_fixture.h"

#include <QDialog>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QListWidget>
#include <QScreen>
#include <QTabWidget>

using namespace fettle;
using namespace fettle::ui;
using namespace fettle::ui::test;

namespace {

QString g_folder, g_prefix;

void shot(QWidget* window, const QString& name)
{
    QTest::qWait(450);
    window->grab().save(g_folder + '/' + g_prefix + name + ".png");
}

void waitReady(MainWindow& window, const QString& name, int milliseconds)
{
    if (!QTest::qWaitFor([&] { return ready(&window, name); }, milliseconds))
        qWarning("%s did not become ready", qPrintable(name));
}

void emptyPlaces(MainWindow& window)
{
    for (const char* place :
         {"home", "data", "plan", "runs", "compare", "evaluate", "try", "deploy"}) {
        window.go(place);
        shot(&window, QString("empty_") + place);
    }
    for (const char* page : {"general", "folders", "devices", "models", "privacy", "about"}) {
        window.go("settings", page);
        shot(&window, QString("settings_") + page);
    }
    window.go("help", "runs");
    shot(&window, "help");
}

void train(MainWindow& window, double passes)
{
    window.go("plan");
    waitReady(window, "planStartButton", 60000);
    if (auto* spin = window.findChild<QDoubleSpinBox*>("planPassesSpin"))
        spin->setValue(passes);
    QTest::qWait(1500);
    shot(&window, "full_plan");
    click(&window, "planStartButton");
    waitReady(window, "runsStopButton", 60000);
}

int live(const QString& folder, qint64 step)
{
    auto workspace = store::Workspace::open(ss(folder));
    if (!workspace) {
        qWarning("%s", workspace.error().sentence().c_str());
        return 4;
    }
    MainWindow window(*workspace);
    window.resize(window.screen()->availableGeometry().size());
    window.show();
    window.go("runs");
    waitReady(window, "runsContinueButton", 30000);
    click(&window, "runsContinueButton");
    const bool there =
        QTest::qWaitFor([&] { return (*workspace)->run("last")->step >= step; }, 1'800'000);
    shot(&window, "runs");
    return there ? 0 : 4;
}

void fullPlaces(MainWindow& window)
{
    window.go("home");
    QTest::qWait(500);
    click(&window, "homeSample_0");
    waitReady(window, "dataLooksRightButton", 60000);
    QTest::qWait(1200);
    shot(&window, "full_data_first");
    click(&window, "dataFirstLookHide");
    shot(&window, "full_data");
    click(&window, "dataEditButton");
    shot(&window, "full_data_edit");
    click(&window, "dataCancelEditButton");
    train(window, 2);
    QTest::qWait(9000);
    shot(&window, "runs_live");
    waitReady(window, "runsTryButton", 300000);
    shot(&window, "full_runs");
    auto* tabs = window.findChild<QTabWidget*>("runsTabs");
    for (int i = 1; i < tabs->count(); ++i) {
        tabs->setCurrentIndex(i);
        shot(&window, QString("full_runs_tab%1").arg(i));
    }
    tabs->setCurrentIndex(0);
    train(window, 60);
    QTest::qWait(1500);
    click(&window, "runsStopButton");
    waitReady(window, "runsBackButton", 60000);
    click(&window, "runsBackButton");
    if (auto* dialog = window.findChild<QDialog*>("goBackDialog")) {
        shot(&window, "runs_stopped");
        shot(dialog, "runs_back");
        dialog->reject();
    }
    waitReady(window, "runsTryButton", 300000);
    window.findChild<QListWidget*>("runsList")->selectAll();
    shot(&window, "full_runs_two");
    window.go("plan");
    click(&window, "planAllButton");
    shot(&window, "full_plan_all");
    click(&window, "planDrawerClose");
    window.go("compare");
    shot(&window, "full_compare");
    window.go("try");
    waitReady(window, "trySuggestion_0", 20000);
    QTest::qWait(500);
    click(&window, "trySuggestion_0");
    const auto* print = window.findChild<QLabel*>("tryFingerprint_1");
    if (!QTest::qWaitFor([print] { return !print->text().isEmpty(); }, 60000))
        qWarning("no answer");
    shot(&window, "full_try");
    window.go("deploy");
    QTest::qWait(600);
    shot(&window, "full_deploy");
    window.go("evaluate");
    QTest::qWait(600);
    click(&window, "evalStartButton");
    QTest::qWait(500);
    waitReady(window, "evalStartButton", 120000);
    shot(&window, "full_evaluate");
    window.go("settings", "models");
    shot(&window, "full_models");
    window.go("home");
    shot(&window, "full_home");
}

} // namespace

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    if (argc < 3)
        return 2;
    QTemporaryDir settings;
    isolateSettings(settings);
    qRegisterMetaType<std::vector<jobs::StepDone>>();
    qRegisterMetaType<jobs::Event>();
    g_folder = argv[1];
    QDir().mkpath(g_folder);
    const QString look = argv[2];
    g_prefix = look + '_';
    Preferences::instance().setValue("look/theme", look == "dark" ? 2 : look == "contrast" ? 3 : 1);
    Preferences::instance().applyLook();
    if (look == "live" && argc > 4)
        return live(argv[3], QString(argv[4]).toLongLong());
    QTemporaryDir folder;
    auto workspace = store::Workspace::open(ss(folder.filePath("Discharge letters")));
    if (!workspace) {
        qWarning("%s", workspace.error().sentence().c_str());
        return 4;
    }
    MainWindow window(*workspace);
    window.resize(window.screen()->availableGeometry().size());
    window.show();
    if (!QTest::qWaitForWindowExposed(&window))
        return 4;
    emptyPlaces(window);
    if (!addTinyModel(*workspace))
        return 4;
    Q_EMIT window.session().modelsChanged();
    fullPlaces(window);
    return 0;
}
