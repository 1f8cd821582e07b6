#pragma once

#include "ui/shell/place.h"
#include "ui/widgets/drop_area.h"

namespace fettle::ui {

/// Start, continue, find.
class HomePlace : public Place
{
    Q_OBJECT
public:
    explicit HomePlace(Session& session, QWidget* parent = nullptr);
    void activate(const QString& argument) override;

Q_SIGNALS:
    void openWanted();
    void newWanted();
    void workspaceWanted(const QString& folder);

private:
    struct RunCard
    {
        store::RunRecord record;
        std::vector<double> losses;
    };
    struct Facts
    {
        std::vector<RunCard> runs;
        std::vector<store::RunRecord> unfinished;
        bool hasData = false, hasModel = false;
    };

    void createLayout();
    void connectSignals();
    QWidget* createSide();
    void refresh();
    void testMachine();
    void show(Facts&& facts);
    void showUnfinished(const std::vector<store::RunRecord>& runs);
    void showRuns(const std::vector<RunCard>& runs);
    void showWorkspaces();
    void showSamples();

    DropArea* m_drop = nullptr;
    Text *m_recentTitle = nullptr, *m_lead = nullptr;
    QWidget *m_recent = nullptr, *m_workspaces = nullptr;
    Card *m_unfinished = nullptr, *m_samples = nullptr;
    QVBoxLayout *m_unfinishedBox = nullptr, *m_samplesBox = nullptr;
    Text* m_machine = nullptr;
    QPushButton* m_test = nullptr;
};

} // namespace fettle::ui
