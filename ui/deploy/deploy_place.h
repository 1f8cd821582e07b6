#pragma once

#include "ui/shell/place.h"

class QComboBox;
class QTextBrowser;

namespace fettle::ui {

class LoadingState;

/// Take it away, with proof.
class DeployPlace : public Place
{
    Q_OBJECT
public:
    explicit DeployPlace(Session& session, QWidget* parent = nullptr);

    void activate(const QString& argument) override;
    QPushButton* mainButton() const override { return m_write; }

private:
    struct Tile
    {
        CardButton* button = nullptr;
        Text* size = nullptr;
        Text* note = nullptr;
    };

    void createLayout();
    Tile createTile(const QString& name, const QString& iconName, const QString& title,
                    const QString& line);
    void connectSignals();
    void refreshRuns();
    void runChanged();
    void refreshTiles();
    void askFolder();
    void write(const QString& folder);
    void ended(const jobs::Event& end);
    void showProof(const Json& result);
    const store::RunRecord* run() const;

    std::vector<store::RunRecord> m_runs;
    std::vector<store::ModelRecord> m_models;
    QString m_wanted, m_kind = "peft", m_folder;
    QPointer<JobBridge> m_job;
    std::map<QString, std::uint64_t> m_sizes;

    QComboBox* m_run = nullptr;
    Tile m_adapter, m_merged;
    Card *m_proof = nullptr, *m_progress = nullptr;
    IconLabel* m_proofIcon = nullptr;
    Text *m_proofTitle = nullptr, *m_proofLines = nullptr, *m_phase = nullptr;
    QPushButton *m_write = nullptr, *m_open = nullptr, *m_cancel = nullptr;
};

} // namespace fettle::ui
