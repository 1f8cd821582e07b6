// Flow F1: from a dropped file to trying the tuned model, in the real window on a tiny model:
// four clicks and no character; the same by keys alone. Runs on the processor, offscreen.
#include "sanitized.h"
#include "ui/data/data_place.h"
#include "ui/plots/plot_view.h"
#include "ui/runs/run_details.h"
#include "ui/session/stall_monitor.h"
#include "ui/widgets/ask.h"
#include "ui_fixture.h"

#include <QAccessible>
#include <QComboBox>
#include <QDialog>
#include <QDoubleSpinBox>
#include <QDropEvent>
#include <QLabel>
#include <QMimeData>
#include <QStackedWidget>
#include <QTextEdit>

using namespace fettle;
using namespace fettle::ui;
using namespace fettle::ui::test;

namespace {

constexpr int kLong = fettle::tests::kSanitized ? 300'000 : 60'000; // ms: a busy machine with two cores

QString stateOf(QWidget* window, const QString& place)
{
    return window->findChild<QStackedWidget*>(place + "Stack")->property("state").toString();
}

} // namespace

class TestFirstModel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init();
    void cleanup();
    void fourClicks();
    void byKeysAlone();
    void pauseStopAndContinue();
    void everyFocusableWidgetHasAName();
    void everyPlaceHasAnEmptyState();
    void helpAnswersForTheFocus();
    void themeChangesWithoutRestart();

private:
    void shortRun();
    void drop(const QString& file);

    std::unique_ptr<QTemporaryDir> m_folder;
    std::shared_ptr<store::Workspace> m_workspace;
    std::unique_ptr<MainWindow> m_window;
    QString m_letters;
};

void TestFirstModel::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    auto workspace = store::Workspace::open(ss(m_folder->filePath("ward")));
    QVERIFY2(workspace, workspace ? "" : workspace.error().sentence().c_str());
    m_workspace = *workspace;
    m_letters = writeLetters(m_folder->path(), 60);
    QVERIFY(addTinyModel(m_workspace));
    m_window = std::make_unique<MainWindow>(m_workspace);
    m_window->resize(1280, 800);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
}

void TestFirstModel::cleanup()
{
    // A picture of what stood on the screen says more than the line that failed.
    if (const QString folder = qEnvironmentVariable("FETTLE_TEST_PICTURES");
        QTest::currentTestFailed() && !folder.isEmpty())
        m_window->grab().save(folder + '/' + QTest::currentTestFunction() + ".png");
    m_window.reset();
    m_workspace.reset();
}

void TestFirstModel::drop(const QString& file)
{
    QWidget* area = control(m_window.get(), "homeDropArea");
    QMimeData mime;
    mime.setUrls({QUrl::fromLocalFile(file)});
    QDragEnterEvent enter(area->rect().center(), Qt::CopyAction, &mime, Qt::LeftButton,
                          Qt::NoModifier);
    QApplication::sendEvent(area, &enter);
    QVERIFY(enter.isAccepted());
    QDropEvent event(area->rect().center(), Qt::CopyAction, &mime, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(area, &event);
}

void TestFirstModel::fourClicks()
{
    const int asked = ask::asked();
    QWidget* w = m_window.get();
    drop(m_letters);
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(w, "data"), QString("full"), kLong);
    const auto counts = (*m_workspace->dataset("letters"))->counts();
    QCOMPARE(counts.rows, 60);
    QVERIFY(counts.train > counts.validation && counts.validation > 0 && counts.test > 0);
    QTRY_VERIFY(ready(w, "dataLooksRightButton"));
    QVERIFY(click(w, "dataLooksRightButton")); // 1
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "planStartButton"), kLong);
    const QString sentence = static_cast<QLabel*>(control(w, "planSentence"))->text();
    QVERIFY2(sentence.contains(QString::number(counts.train)), qPrintable(sentence));
    StallMonitor stalls;
    QTest::qWait(300);
    stalls.reset();
    QVERIFY(click(w, "planStartButton")); // 2
    QTRY_COMPARE_WITH_TIMEOUT(m_window->currentPlace(), QString("runs"), kLong);
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "runsTryButton"), kLong);
    qInfo("longest gap of the event loop during the run: %.0f ms", stalls.longestMilliseconds());
    // The rule is 100 ms; a test machine that compiles at the same time is given three times that.
    QVERIFY2(stalls.longestMilliseconds() < 300,
             qPrintable(QString::number(stalls.longestMilliseconds())));
    auto* plot = w->findChild<PlotView*>("runsLossPlot");
    QTRY_VERIFY(!plot->curves().empty());
    QTRY_VERIFY(plot->curves().front().checks.size() >= 2);
    const auto run = m_workspace->run("last");
    QVERIFY(run);
    const auto metric = m_workspace->metric(run->id, "loss");
    QCOMPARE(plot->curves().front().raw.size(), metric.size()); // the file on disk is drawn
    QVERIFY(click(w, "runsTryButton"));                         // 3
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "trySuggestion_0"), kLong);
    QVERIFY(click(w, "trySuggestion_0")); // 4
    const auto print = [w](int i) {
        return static_cast<QLabel*>(control(w, QStringLiteral("tryFingerprint_%1").arg(i)))->text();
    };
    QTRY_VERIFY_WITH_TIMEOUT(!print(0).isEmpty() && !print(1).isEmpty(), kLong);
    QVERIFY(print(0) != print(1));
    // Coming back by the rail keeps what stands there, and the next question works at once.
    m_window->go("home");
    QVERIFY(click(w, "rail_try"));
    QVERIFY(!print(1).isEmpty());
    QVERIFY(click(w, "trySuggestion_1"));
    QVERIFY(print(1).isEmpty());
    QTRY_VERIFY_WITH_TIMEOUT(!print(0).isEmpty() && !print(1).isEmpty(), kLong);
    QTest::qWait(300);
    QVERIFY(!print(1).isEmpty());
    QVERIFY(control(w, "tryQuestionShown")->isVisible());
    QCOMPARE(ask::asked(), asked); // no question box appeared
}

void TestFirstModel::byKeysAlone()
{
    QWidget* w = m_window.get();
    QVERIFY(QTest::qWaitForWindowActive(w));
    const auto mainKey = [w](const QString& name) {
        if (!QTest::qWaitFor([&] { return ready(w, name); }, kLong))
            return false;
        QTest::keyClick(w, Qt::Key_Return, Qt::ControlModifier);
        return true;
    };
    ask::answerNextWith(QStringList{m_letters});
    QTest::keyClick(w, Qt::Key_O, Qt::ControlModifier);
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(w, "data"), QString("full"), kLong);
    QVERIFY(mainKey("dataLooksRightButton"));
    QVERIFY(mainKey("planStartButton"));
    QTRY_COMPARE_WITH_TIMEOUT(m_window->currentPlace(), QString("runs"), kLong);
    QVERIFY(mainKey("runsTryButton"));
    QTRY_COMPARE(m_window->currentPlace(), QString("try"));
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "trySuggestion_0"), kLong);
    QTRY_COMPARE(QApplication::focusWidget(), control(w, "tryQuestionEdit"));
    QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
    QTRY_VERIFY_WITH_TIMEOUT(
        !static_cast<QLabel*>(control(w, "tryFingerprint_1"))->text().isEmpty(), kLong);
}

void TestFirstModel::shortRun()
{
    QWidget* w = m_window.get();
    drop(m_letters);
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(w, "data"), QString("full"), kLong);
    QTRY_VERIFY(ready(w, "dataLooksRightButton"));
    click(w, "dataLooksRightButton");
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "planStartButton"), kLong);
}

void TestFirstModel::pauseStopAndContinue()
{
    QWidget* w = m_window.get();
    shortRun();
    auto* passes = w->findChild<QDoubleSpinBox*>("planPassesSpin");
    QVERIFY(passes);
    passes->setValue(400);
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "planStartButton"), kLong);
    QTest::qWait(600); // the forecast of the new plan
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "planStartButton"), kLong);
    QVERIFY(click(w, "planStartButton"));
    auto* plot = w->findChild<PlotView*>("runsLossPlot");
    QTRY_VERIFY_WITH_TIMEOUT(!plot->curves().empty() && plot->curves().front().raw.size() > 3,
                             kLong);
    QVERIFY(click(w, "runsPauseButton"));
    QTest::qWait(700);
    const auto held = plot->curves().front().raw.size();
    QTest::qWait(700);
    QCOMPARE(plot->curves().front().raw.size(), held);
    // Closing asks once; the last answer is to stay.
    ask::answerNextWith(Session::commandLineProgram().isEmpty() ? 1 : 2);
    m_window->close();
    QTest::qWait(100);
    QVERIFY(m_window->isVisible());
    QVERIFY(click(w, "runsPauseButton"));
    QTRY_VERIFY_WITH_TIMEOUT(plot->curves().front().raw.size() > held, kLong);
    QVERIFY(click(w, "runsStopButton"));
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "runsContinueButton"), kLong);
    const auto stopped = m_workspace->run("last");
    QVERIFY(stopped && stopped->status == store::RunStatus::Stopped);
    QVERIFY(click(w, "runsContinueButton"));
    QTRY_VERIFY_WITH_TIMEOUT(m_workspace->run("last")->step > stopped->step, kLong);
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "runsStopButton"), kLong);
    QVERIFY(click(w, "runsStopButton"));
    QTRY_VERIFY_WITH_TIMEOUT(ready(w, "runsContinueButton"), kLong);
    // Back to an earlier save point, with half the change per step.
    const auto further = m_workspace->run("last")->step;
    QVERIFY(click(w, "runsBackButton"));
    auto* dialog = w->findChild<QDialog*>("goBackDialog");
    QVERIFY(dialog && dialog->isVisible());
    auto* from = dialog->findChild<::QComboBox*>("goBackFromCombo");
    QVERIFY(from && from->count() > 0);
    from->setCurrentIndex(from->count() - 1);
    const auto earlier = from->currentData().toLongLong();
    QVERIFY(earlier <= further);
    QVERIFY(click(dialog, "goBackApplyButton"));
    // However many steps follow, the log keeps what happened once.
    const auto log = [this] { return readRun(*m_workspace, *m_workspace->run("last"), true).log; };
    QTRY_VERIFY_WITH_TIMEOUT(log().contains("0.5"), kLong);
    QTRY_VERIFY_WITH_TIMEOUT(m_workspace->run("last")->status == store::RunStatus::Finished, kLong);
    QVERIFY(log().contains("0.5"));
    QVERIFY(log().contains(QString("step %1").arg(earlier)));
}

void TestFirstModel::everyFocusableWidgetHasAName()
{
    shortRun();
    QWidget* w = m_window.get();
    for (const char* place : {"home", "data", "plan", "runs", "compare", "evaluate", "try",
                              "deploy", "settings", "help"}) {
        m_window->go(place);
        QTest::qWait(200);
        for (QWidget* child : w->findChildren<QWidget*>()) {
            if (!(child->focusPolicy() & Qt::TabFocus) || !child->isVisible() ||
                child->objectName().startsWith("qt_"))
                continue;
            auto* interface = QAccessible::queryAccessibleInterface(child);
            const QString name = interface ? interface->text(QAccessible::Name) : QString();
            QVERIFY2(!name.isEmpty(), qPrintable(QString("%1: %2 %3")
                                                     .arg(place, child->metaObject()->className(),
                                                          child->objectName())));
        }
    }
}

void TestFirstModel::everyPlaceHasAnEmptyState()
{
    for (const char* place : {"home", "data", "plan", "runs", "compare", "evaluate"}) {
        m_window->go(place);
        QTRY_COMPARE(stateOf(m_window.get(), place), QString("empty"));
    }
    // The original can be taken away; without one there is nothing.
    m_window->go("deploy");
    QTRY_COMPARE(stateOf(m_window.get(), "deploy"), QString("full"));
    QVERIFY(m_workspace->removeModel(m_workspace->models().front().name));
    Q_EMIT m_window->session().modelsChanged();
    QTRY_COMPARE(stateOf(m_window.get(), "deploy"), QString("empty"));
}

void TestFirstModel::helpAnswersForTheFocus()
{
    shortRun();
    auto* rate = control(m_window.get(), "planRateSpin");
    QVERIFY(rate);
    rate->setFocus();
    QVERIFY(QTest::qWaitForWindowActive(m_window.get()));
    QTest::keyClick(m_window.get(), Qt::Key_F1);
    QTRY_COMPARE(m_window->currentPlace(), QString("help"));
    QVERIFY(static_cast<QTextEdit*>(control(m_window.get(), "helpView"))
                ->toPlainText()
                .contains("training.learningRate"));
}

void TestFirstModel::themeChangesWithoutRestart()
{
    const QColor before = m_window->palette().color(QPalette::Window);
    Preferences::instance().setValue("look/theme", int(ThemeChoice::Dark));
    QTRY_VERIFY(m_window->palette().color(QPalette::Window) != before);
    QVERIFY(m_window->palette().color(QPalette::Window).lightness() < 80);
    Preferences::instance().setValue("look/theme", int(ThemeChoice::Light));
    QTRY_COMPARE(m_window->palette().color(QPalette::Window), before);
}

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    QTemporaryDir settings;
    isolateSettings(settings);
    qRegisterMetaType<std::vector<jobs::StepDone>>();
    qRegisterMetaType<jobs::Event>();
    Preferences::instance().setValue("look/theme", int(ThemeChoice::Light));
    Preferences::instance().applyLook();
    TestFirstModel test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_first_model.moc"
