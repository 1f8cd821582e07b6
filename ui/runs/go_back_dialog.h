#pragma once

#include "recipes/front_door.h"

#include <QDialog>
#include <vector>

class QComboBox;

namespace fettle::ui {

/// From which save point a run goes on, and with how much change per step.
class GoBackDialog : public QDialog
{
    Q_OBJECT
public:
    GoBackDialog(std::vector<store::CheckpointRecord> savePoints, QWidget* parent);

Q_SIGNALS:
    void chosen(const fettle::recipes::ResumeOptions& options);

private:
    QComboBox *m_from, *m_rate;
};

} // namespace fettle::ui
