#pragma once

#include "recipes/encode.h"
#include "ui/shell/place.h"

class QComboBox;
class QDoubleSpinBox;
class QPlainTextEdit;
class QTextBrowser;

namespace fettle::ui {

/// One column of Try: who answers, its fingerprint, the answer as it comes.
class TryColumn : public QFrame
{
    Q_OBJECT
public:
    TryColumn(int index, QWidget* parent = nullptr);

    void setModels(const std::vector<store::ModelRecord>& models,
                   const std::vector<store::RunRecord>& runs);
    void choose(const QString& id);
    QString model() const; ///< "name" or "run:12"
    QString modelWords() const;

    void beginWaiting(const QString& words);
    void addPiece(const QString& text);
    void finish(const QString& text, const QString& fingerprint, const QString& facts);
    void fail(const QString& words);
    void clearAnswer();
    QString answer() const { return m_answerText; }
    void mark(const QString& other); ///< marks what differs from another answer

Q_SIGNALS:
    void modelChanged();
    void saveWanted(fettle::data::Split split);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QComboBox* m_model;
    QTextBrowser* m_text;
    Text *m_fingerprint, *m_facts;
    QPushButton* m_save;
    QString m_answerText;
    bool m_waiting = false;
};

/// Talk to the original and the tuned model side by side.
class TryPlace : public Place
{
    Q_OBJECT
public:
    explicit TryPlace(Session& session, QWidget* parent = nullptr);

    void activate(const QString& argument) override;
    QPushButton* mainButton() const override { return m_ask; }

protected:
    bool eventFilter(QObject* object, QEvent* event) override;

private:
    struct Suggestion
    {
        QString words;                     ///< shown
        std::vector<OrderedJson> messages; ///< asked
        OrderedJson tools;                 ///< of the row; null: none
        std::string instruction;
    };

    void createLayout();
    QWidget* createFoot();
    void connectSignals();
    void refreshModels();
    void chooseRun(const store::RunRecord& run);
    void loadSuggestions();
    void clearShown();
    void showSuggestions(std::vector<Suggestion>&& suggestions);
    void ask();
    void askSuggestion(std::size_t index);
    void run(const std::vector<OrderedJson>& messages, const OrderedJson& tools,
             const QString& shown);
    void ended(const jobs::Event& end);
    void setColumns(int columns);
    void saveRow(int column, data::Split split);
    void refreshAskButton();

    std::vector<store::ModelRecord> m_models;
    std::vector<store::RunRecord> m_runs;
    std::vector<Suggestion> m_suggested;
    QString m_wantedRun, m_lastQuestion, m_dataset;
    QStringList m_history;
    QPointer<JobBridge> m_job;
    std::vector<int> m_asked; ///< columns of the streams
    bool m_chosen = false;
    bool m_choosing = false; ///< a run is about to be chosen: what is on show belongs to another
    int m_generation = 0;

    std::vector<TryColumn*> m_columns;
    QWidget* m_suggestionRow = nullptr;
    Text *m_question = nullptr, *m_suggestionWords = nullptr;
    QPlainTextEdit* m_edit = nullptr;
    QDoubleSpinBox* m_variation = nullptr;
    QPushButton *m_ask = nullptr, *m_stop = nullptr;
};

} // namespace fettle::ui
