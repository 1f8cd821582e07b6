#pragma once

#include "data/splits.h"

#include <QDialog>

class QComboBox;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace fettle::ui {

class Text;

/// How rows are divided into training, checking and test rows.
class SplitDialog : public QDialog
{
    Q_OBJECT
public:
    SplitDialog(std::int64_t rows, bool hasGroups, bool hasClasses, QWidget* parent);

Q_SIGNALS:
    void chosen(const fettle::data::SplitPlan& plan);

private:
    void refresh();
    Result<data::SplitPlan> plan() const;

    std::int64_t m_rows;
    QComboBox* m_kind;
    QLineEdit* m_shares;
    QSpinBox* m_seed;
    Text* m_guard;
    QPushButton* m_apply;
};

} // namespace fettle::ui
