#pragma once

#include "ui/runs/run_details.h"
#include "ui/shell/place.h"

class QListWidget;
class QTabWidget;
class QTableWidget;

namespace fettle::ui {

class PlotView;

/// Runs over each other: curves, and the settings in which they differ.
class ComparePlace : public Place
{
    Q_OBJECT
public:
    explicit ComparePlace(Session& session, QWidget* parent = nullptr);
    void activate(const QString& argument) override;

private:
    void createLayout();
    void refreshList();
    void load();
    void show(std::vector<RunDetails>&& runs);
    void showSettings(const std::vector<RunDetails>& runs);
    void showLosses(const std::vector<RunDetails>& runs);

    QStringList m_wanted;
    int m_generation = 0;
    QListWidget* m_list = nullptr;
    QTabWidget* m_tabs = nullptr;
    PlotView* m_plot = nullptr;
    QTableWidget *m_settings = nullptr, *m_losses = nullptr;
    Text* m_hint = nullptr;
};

} // namespace fettle::ui
