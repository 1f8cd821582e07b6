#pragma once

#include "ui/runs/run_details.h"
#include "ui/shell/place.h"

#include <QTimer>

class QComboBox;
class QPlainTextEdit;
class QProgressBar;
class QTabWidget;
class QTableWidget;
class QTextBrowser;

namespace fettle::ui {

class AnswersStrip;
class PlotView;
class RunList;

/// Watch, understand, intervene.
class RunsPlace : public Place
{
    Q_OBJECT
public:
    explicit RunsPlace(Session& session, QWidget* parent = nullptr);

    void activate(const QString& argument) override;
    QPushButton* mainButton() const override { return m_try; }
    void savePlotOrTable() override;

protected:
    bool eventFilter(QObject* object, QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void createTools();
    void createLayout();
    QWidget* createCurves();
    QWidget* createHeader();
    void createPages(QTabWidget* tabs);
    void connectSignals();
    void createPlaceActions();

    void refreshList();
    void listed(std::vector<store::RunRecord>&& runs);
    void loadChosen();
    void loaded(std::vector<RunDetails>&& runs);
    void showCurves();
    void showSecondPlot();
    void showHeader();
    void showSettings();
    void showRecord();
    void showEnd();
    void refreshButtons();
    void stepsDone(const QString& id, const std::vector<jobs::StepDone>& steps);
    void happened(const QString& id, const jobs::Event& event);
    void ended(const QString& id, const jobs::Event& end);
    void togglePause();
    void stop();
    void continueRun();
    void goBack();
    void again();
    void remove();
    RunDetails* shown(const QString& id);
    const RunDetails* current() const { return m_runs.empty() ? nullptr : &m_runs.front(); }

    std::vector<RunDetails> m_runs; ///< chosen ones, the current first
    QString m_wanted, m_restoreId;
    QString m_phase;
    double m_phasePart = -1;
    jobs::StepDone m_lastStep;
    int m_generation = 0;
    QTimer m_poll;

    RunList* m_list = nullptr;
    QPushButton *m_pause = nullptr, *m_stop = nullptr, *m_continue = nullptr, *m_back = nullptr, *m_again = nullptr,
                *m_try = nullptr, *m_compare = nullptr, *m_deploy = nullptr;
    Text *m_title = nullptr, *m_line = nullptr, *m_phaseLabel = nullptr, *m_reader = nullptr,
         *m_meters = nullptr;
    QProgressBar* m_bar = nullptr;
    Card* m_end = nullptr;
    Text* m_endWords = nullptr;
    QTabWidget* m_tabs = nullptr;
    PlotView *m_loss = nullptr, *m_rate = nullptr;
    QComboBox* m_second = nullptr;
    AnswersStrip* m_answers = nullptr;
    QTableWidget* m_settings = nullptr;
    QPlainTextEdit* m_log = nullptr;
    QTextBrowser* m_record = nullptr;
};

} // namespace fettle::ui
