#pragma once

#include "ui/shell/place.h"

#include <optional>

class QComboBox;
class QGridLayout;

namespace fettle::ui {

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
        recipes::ExportFormInfo form;
        CardButton* button = nullptr;
        Text* size = nullptr;
        Text* note = nullptr;
    };
    /// What can be taken away: a run, or an original as it is.
    struct Source
    {
        std::string what; ///< as an ExportPlan names it
        QString title;
        std::string model;
        std::optional<store::RunRecord> run;
    };

    void createLayout();
    void createTiles(QGridLayout* grid);
    QWidget* createNumbers();
    QWidget* createProgress();
    QWidget* createProof();
    void connectSignals();
    void refreshSources();
    void sourceChanged();
    void formChosen();
    void refreshTiles();
    void askFolder();
    void write(const QString& folder);
    void ended(const jobs::Event& end);
    void showProof(const Json& result);
    const Source* source() const;
    const Tile* chosenTile() const;
    QString typeOf(const Tile& tile) const; ///< chosen for this form, or its first

    std::vector<Source> m_sources;
    QString m_wanted, m_folder;
    QString m_kept; ///< chosen by hand: stays when the list changes
    std::string m_form = "peft";
    std::map<std::string, QString> m_types; ///< by form, where not its first
    QPointer<JobBridge> m_job;
    std::map<std::string, std::map<std::string, std::uint64_t>> m_sizes; ///< by form and type

    QComboBox *m_source = nullptr, *m_type = nullptr;
    std::vector<Tile> m_tiles;
    Card *m_proof = nullptr, *m_progress = nullptr;
    QWidget* m_numbers = nullptr;
    IconLabel* m_proofIcon = nullptr;
    Text *m_proofTitle = nullptr, *m_proofLines = nullptr, *m_phase = nullptr,
         *m_typeNote = nullptr;
    QPushButton *m_write = nullptr, *m_open = nullptr, *m_cancel = nullptr;
};

} // namespace fettle::ui
