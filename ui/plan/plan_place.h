#pragma once

#include "ui/shell/place.h"

#include <QTimer>

class QComboBox;

namespace fettle::ui {

class SpecForm;
class PlanDrawer;
class MemoryBar;

/// Decide with the price in view.
class PlanPlace : public Place
{
    Q_OBJECT
public:
    explicit PlanPlace(Session& session, QWidget* parent = nullptr);

    /// A dataset's name, "setting:KEY" to look for a setting, or "recipe:ID or FILE".
    void activate(const QString& argument) override;
    QPushButton* mainButton() const override { return m_start; }
    const recipes::RunPlan& plan() const { return m_plan; }
    /// The same plan as a command: what a terminal would be given.
    QString command() const;

private:
    void createLayout();
    void createTools();
    QWidget* createWhat();
    QWidget* createHow();
    QWidget* createPrice();
    void connectSignals();
    void refreshChoices();
    void takeRecipe(const QString& idOrPath);
    void chooseDefaults();
    void settingEdited(const QString& key);
    void loadForms();
    void scheduleForecast();
    void askForecast();
    void showForecast(Result<recipes::Forecast>&& forecast);
    void showProblems(const std::vector<recipes::PlanProblem>& problems);
    void showFits();
    void showChanged();
    void showMethod();
    void showCommand();
    void copyFromRun();
    void start();

    recipes::RunPlan m_plan;
    std::vector<store::ModelRecord> m_models;
    std::vector<store::DatasetRecord> m_datasets;
    QTimer m_timer;
    int m_generation = 0;
    bool m_filling = false, m_starting = false;

    QComboBox *m_data = nullptr, *m_goal = nullptr, *m_model = nullptr, *m_method = nullptr;
    Text *m_dataFacts = nullptr, *m_modelFacts = nullptr, *m_methodReason = nullptr,
         *m_changed = nullptr;
    Text *m_memory = nullptr, *m_time = nullptr, *m_timeKind = nullptr, *m_disk = nullptr,
         *m_size = nullptr;
    IconLabel* m_timeIcon = nullptr;
    MemoryBar* m_memoryBar = nullptr;
    Text* m_sentence = nullptr;
    QVBoxLayout* m_checks = nullptr;
    Card* m_checkCard = nullptr;
    SpecForm* m_basic = nullptr;
    PlanDrawer* m_drawer = nullptr;
    QPushButton *m_start = nullptr, *m_all = nullptr, *m_reset = nullptr;
};

} // namespace fettle::ui
