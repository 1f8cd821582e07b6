#pragma once

#include "ui/data/encoder_cache.h"
#include "ui/data/row_view.h"
#include "ui/shell/place.h"

#include <stop_token>

class QComboBox;
class QLineEdit;
class QListWidget;
class QTableView;

namespace fettle::ui {

class LoadingState;
class RowModel;
class SparkLine;

/// See what the model will see, and repair it.
class DataPlace : public Place
{
    Q_OBJECT
public:
    explicit DataPlace(Session& session, QWidget* parent = nullptr);

    void importFiles(const QStringList& files, const data::ImportOptions& options = {});
    void activate(const QString& argument) override;
    QPushButton* mainButton() const override;
    QWidget* filterField() const override;
    void undo() override;
    void redo() override;
    QString undoWords() const override { return m_undoName; }
    QString redoWords() const override { return m_redoName; }

private:
    struct Import
    {
        QStringList files;
        data::ImportOptions options;
        QString name;        ///< dataset; empty: made from the file's name
        bool append = false; ///< into the dataset that is there
    };
    struct Imported
    {
        QString name;
        std::optional<Error> error;
        data::ImportReport report;
        data::ImportPreview preview;
    };
    struct Opened
    {
        std::shared_ptr<store::Dataset> dataset;
        store::DatasetCounts counts;
        std::vector<store::DatasetRow> first;
        std::vector<data::BadRow> bad;
        QString undoName, redoName;
        Json info, source;
        std::optional<Error> error;
    };

    void createLayout();
    QWidget* createHead();
    QWidget* createTable();
    QWidget* createChips();
    void createTools();
    void connectSignals();
    void createPlaceActions();

    void runImport(Import import);
    void imported(Imported&& result);
    static Imported importNow(store::Workspace& workspace, const Import& import,
                              const data::ImportProgress& progress, std::stop_token stop);
    void rolesChanged();
    void refreshList();
    void openDataset(const QString& name);
    void opened(Opened&& result);
    void showHead(const Opened& facts);
    void showCounts(const store::DatasetCounts& counts);
    void showFirstLook(const std::vector<store::DatasetRow>& rows);
    void showChosenRow();
    void modelChanged();
    void applyFilter();
    void setHealth(const QString& health);
    void fixHealth();
    void showBadRows();
    void showVersions();
    void askSplit();
    void looksRight();
    void nextWithWarning();
    std::vector<std::int64_t> chosenRows() const;
    void dropChosen();
    /// Runs an edit on the pool; refreshes the table and the undo names.
    void edit(std::function<Result<void>(store::Dataset&)> act);

    std::shared_ptr<EncoderCache> m_encoders = std::make_shared<EncoderCache>();
    std::shared_ptr<store::Dataset> m_dataset;
    std::shared_ptr<const recipes::Encoder> m_encoder;
    store::DatasetCounts m_counts;
    std::vector<data::BadRow> m_bad;
    QString m_name, m_undoName, m_redoName, m_health;
    Import m_lastImport;
    bool m_fresh = false, m_filling = false, m_hasGroups = false, m_hasClasses = false;
    std::stop_source m_stop;

    LoadingState* m_loading = nullptr;
    QComboBox *m_datasets = nullptr, *m_questionRole = nullptr, *m_answerRole = nullptr;
    Text *m_headBefore = nullptr, *m_headBetween = nullptr, *m_headAfter = nullptr;
    QLineEdit* m_filter = nullptr;
    QListWidget* m_sources = nullptr;
    QTableView* m_table = nullptr;
    RowModel* m_model = nullptr;
    RowView* m_view = nullptr;
    std::map<QString, QToolButton*> m_chips;
    Card *m_fix = nullptr, *m_look = nullptr;
    Text* m_fixWords = nullptr;
    QPushButton *m_fixButton = nullptr, *m_right = nullptr;
    QVBoxLayout* m_lookBox = nullptr;
};

} // namespace fettle::ui
