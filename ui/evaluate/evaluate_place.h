#pragma once

#include "ui/shell/place.h"

class QComboBox;
class QListWidget;
class QTableWidget;

namespace fettle::ui {

/// How good, on what: scores of models on the test rows, each with its range.
class EvaluatePlace : public Place
{
    Q_OBJECT
public:
    explicit EvaluatePlace(Session& session, QWidget* parent = nullptr);
    void activate(const QString& argument) override;
    QPushButton* mainButton() const override { return m_start; }

private:
    void createLayout();
    void refresh();
    void start();
    void next();
    void ended(const jobs::Event& end);
    void showScores();
    void refreshStart();

    struct Scored
    {
        QString words;
        Json result;
    };
    QStringList m_queue;
    QString m_now;
    std::vector<Scored> m_scored;
    QPointer<JobBridge> m_job;

    QListWidget* m_models = nullptr;
    Text* m_dataLabel = nullptr;
    QComboBox* m_data = nullptr;
    QTableWidget* m_table = nullptr;
    Text *m_phase = nullptr, *m_note = nullptr;
    QPushButton *m_start = nullptr, *m_cancel = nullptr;
};

} // namespace fettle::ui
