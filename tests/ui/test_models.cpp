// Settings > Models: bring one in by drop, read its card, look at a text through it, remove it.
#include "hub/hub_access.h"
#include "hub/hub_server.h"
#include "ui/settings/models_page.h"
#include "ui/widgets/ask.h"
#include "ui_fixture.h"

#include <QDropEvent>
#include <QLineEdit>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QTableWidget>
#include <QTextBrowser>
#include <filesystem>

using namespace fettle;
using namespace fettle::ui;
using namespace fettle::ui::test;

namespace {

constexpr int kLong = 60'000;
const QString kGguf = FETTLE_SOURCE_DIR "/tests/golden/tiny_llama.gguf";

void dropOn(QWidget* area, const QString& path)
{
    QMimeData mime;
    mime.setUrls({QUrl::fromLocalFile(path)});
    QDragEnterEvent enter(area->rect().center(), Qt::CopyAction, &mime, Qt::LeftButton,
                          Qt::NoModifier);
    QApplication::sendEvent(area, &enter);
    QVERIFY(enter.isAccepted());
    QDropEvent event(area->rect().center(), Qt::CopyAction, &mime, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(area, &event);
}

/// Every word on a card.
QString wordsOf(QWidget* card)
{
    QStringList words;
    for (const auto* label : card->findChildren<QLabel*>())
        words << label->text();
    return words.join('\n');
}

} // namespace

class TestModels : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { isolateSettings(m_settings); }
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        auto workspace = store::Workspace::open(ss(m_folder->filePath("ward")));
        QVERIFY(workspace);
        m_workspace = *workspace;
        m_window = std::make_unique<MainWindow>(m_workspace);
        m_window->resize(1280, 800);
        m_window->show();
        QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    }
    void cleanup()
    {
        m_window.reset();
        m_workspace.reset();
    }

    void dropReadRemove()
    {
        QWidget* w = m_window.get();
        m_window->go("settings", "models");
        auto* table = static_cast<QTableWidget*>(control(w, "settingsModelsTable"));
        QTRY_VERIFY(wordsOf(control(w, "modelCard")).contains("No model yet"));
        dropOn(control(w, "settingsModelDropArea"), kGguf);
        QTRY_COMPARE_WITH_TIMEOUT(table->rowCount(), 1, kLong);
        QTRY_VERIFY(wordsOf(control(w, "modelCard")).contains("Conversation form"));
        const QString card = wordsOf(control(w, "modelCard"));
        for (const char* fact : {"tiny_llama", "llama", "Licence", "Languages", "fits, "})
            QVERIFY2(card.contains(fact), qPrintable(fact + (":\n" + card)));

        auto* lens = static_cast<QTextBrowser*>(control(w, "modelLensText"));
        static_cast<QPlainTextEdit*>(control(w, "modelLensQuestion"))->setPlainText("A knee?");
        QTRY_VERIFY(lens->toPlainText().contains("knee"));
        const QString facts = static_cast<QLabel*>(control(w, "modelLensFacts"))->text();
        QVERIFY2(facts.contains("would teach"), qPrintable(facts));

        const auto folder = m_workspace->models().front().folder;
        ask::answerNextWith(1); // keep it
        QVERIFY(click(w, "settingsModelRemoveButton"));
        QTest::qWait(100);
        QVERIFY(std::filesystem::exists(folder));
        ask::answerNextWith(0);
        QVERIFY(click(w, "settingsModelRemoveButton"));
        QTRY_COMPARE(table->rowCount(), 0);
        QVERIFY(!std::filesystem::exists(folder));
    }

    void homeSendsModelsToTheModels()
    {
        QWidget* w = m_window.get();
        dropOn(control(w, "homeDropArea"), kGguf);
        QTRY_COMPARE(m_window->currentPlace(), QString("settings"));
        auto* table = static_cast<QTableWidget*>(control(w, "settingsModelsTable"));
        QTRY_COMPARE_WITH_TIMEOUT(table->rowCount(), 1, kLong);
    }

    void theSameFileTwiceGetsANameOfItsOwn()
    {
        QWidget* w = m_window.get();
        m_window->go("settings", "models");
        auto* table = static_cast<QTableWidget*>(control(w, "settingsModelsTable"));
        for (int count = 1; count <= 2; ++count) {
            QTRY_VERIFY(ready(w, "settingsModelDropArea"));
            dropOn(control(w, "settingsModelDropArea"), kGguf);
            QTRY_COMPARE_WITH_TIMEOUT(table->rowCount(), count, kLong);
        }
        QVERIFY(m_workspace->model("tiny_llama-2"));
    }

    void anAddOnAsksForItsModel()
    {
        QWidget* w = m_window.get();
        m_window->go("settings", "models");
        QTRY_VERIFY(wordsOf(control(w, "modelCard")).contains("No model yet"));
        dropOn(control(w, "homeDropArea"),
               FETTLE_SOURCE_DIR "/tests/fixtures/adapters/llama_all_linear");
        const auto* bar = m_window->place("settings")->messages();
        QTRY_VERIFY2(bar->text().contains("add-on"), qPrintable(bar->text()));
        QVERIFY(m_workspace->models().empty());
    }

    void isFetchedByNameOnceTheNetworkIsOn()
    {
        fettle::testing::FakeHub hub;
        hub.addFolder(FETTLE_SOURCE_DIR "/tests/fixtures/tiny_llama");
        qputenv("HF_ENDPOINT", QByteArray::fromStdString(hub.address()));
        qputenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
        QWidget* w = m_window.get();
        const auto* bar = m_window->place("settings")->messages();
        m_window->go("settings", "models");
        QVERIFY(click(w, "settingsModelDownloadButton"));
        QTRY_VERIFY2(bar->text().contains("network is switched off"), qPrintable(bar->text()));
        QVERIFY(hub.hub().requests().empty());
        m_window->go("settings", "privacy");
        auto* token = static_cast<QLineEdit*>(control(w, "settingsTokenEdit"));
        QVERIFY(!control(w, "settingsTokenKeepButton")->isEnabled());
        token->setText("hf_secret");
        QVERIFY(click(w, "settingsTokenKeepButton"));
        QTRY_VERIFY2(bar->text().contains("keychain did not open"), qPrintable(bar->text()));
        QCOMPARE(token->text(), QString("hf_secret")); // what was typed is not lost
        auto* check = control(w, "settingsNetworkCheck");
        QTest::mouseClick(check, Qt::LeftButton, {}, {10, check->height() / 2});
        QVERIFY(hub::settingsOf(*m_workspace).flag("network"));
        m_window->go("settings", "models");
        ask::answerNextWith(QStringList{"somebody/tiny"});
        QVERIFY(click(w, "settingsModelDownloadButton"));
        auto* table = static_cast<QTableWidget*>(control(w, "settingsModelsTable"));
        QTRY_VERIFY2_WITH_TIMEOUT(table->rowCount() == 1, qPrintable(bar->text()), kLong);
        QCOMPARE(m_workspace->models().front().name, std::string("tiny"));
        QTRY_VERIFY(wordsOf(control(w, "modelCard")).contains("Conversation form"));
        qunsetenv("HF_ENDPOINT");
        qunsetenv("DBUS_SESSION_BUS_ADDRESS");
    }

    void aDamagedFileSaysWhyAndLeavesNothing()
    {
        QWidget* w = m_window.get();
        const QString path = m_folder->filePath("broken.gguf");
        QFile file(path);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("GGUF\3\0\0\0 not much more");
        file.close();
        m_window->go("settings", "models");
        dropOn(control(w, "settingsModelDropArea"), path);
        const auto* bar = m_window->place("settings")->messages();
        QTRY_VERIFY_WITH_TIMEOUT(!bar->text().isEmpty(), kLong);
        QVERIFY2(bar->text().contains("broken.gguf"), qPrintable(bar->text()));
        QVERIFY(m_workspace->models().empty());
        QTRY_VERIFY(ready(w, "settingsModelDropArea"));
    }

private:
    QTemporaryDir m_settings;
    std::unique_ptr<QTemporaryDir> m_folder;
    std::shared_ptr<store::Workspace> m_workspace;
    std::unique_ptr<MainWindow> m_window;
};

QTEST_MAIN(TestModels)
#include "test_models.moc"
