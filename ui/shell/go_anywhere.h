#pragma once

#include "ui/session/session.h"

#include <QDialog>

class QLineEdit;
class QListWidget;

namespace fettle::ui {

/// Ctrl+K: type a few letters, go to a place, run, dataset, model or setting.
class GoAnywhere : public QDialog
{
    Q_OBJECT
public:
    explicit GoAnywhere(Session& session, QWidget* parent);

protected:
    bool eventFilter(QObject* object, QEvent* event) override;

private:
    void filter(const QString& words);
    void choose();

    Session& m_session;
    QLineEdit* m_edit;
    QListWidget* m_list;
};

} // namespace fettle::ui
