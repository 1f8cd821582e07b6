#pragma once

#include "recipes/seen_pieces.h"
#include "store/dataset.h"
#include "ui/widgets/basics.h"

class QPlainTextEdit;
class QStackedWidget;

namespace fettle::ui {

class PieceText;

/// A row as the model reads it.
struct SeenRow
{
    std::vector<recipes::SeenPiece> pieces;
    std::int64_t count = 0, taught = 0;
    QString problem; ///< why it cannot be shown
};
/// The row through the trainer's own code. Pool thread.
SeenRow seenRow(const recipes::Encoder& encoder, const data::Example& example);

/// The chosen row: as the model sees it, or open for editing.
class RowView : public QWidget
{
    Q_OBJECT
public:
    explicit RowView(QWidget* parent = nullptr);

    void show(const store::DatasetRow& row, const SeenRow& seen);
    void showNothing();
    void edit();
    bool editing() const;
    std::int64_t rowId() const { return m_row.id; }
    class QComboBox* modelCombo() const { return m_model; }

Q_SIGNALS:
    void changed(std::int64_t id, const fettle::data::Example& example);
    void dropWanted();

private:
    void render();
    void save();

    store::DatasetRow m_row;
    SeenRow m_seen;
    QComboBox* m_model;
    QStackedWidget* m_stack;
    PieceText* m_text;
    Text* m_facts;
    QPlainTextEdit *m_question, *m_answer;
    QPushButton *m_edit, *m_drop, *m_save, *m_cancel;
};

} // namespace fettle::ui
