#pragma once

#include "ui/session/session.h"
#include "ui/widgets/basics.h"

#include <QTimer>

class QProgressBar;

namespace fettle::ui {

/// The line at the window's bottom: what is being done, how long still, memory, network.
class WorkBar : public QFrame
{
    Q_OBJECT
public:
    explicit WorkBar(Session& session, QWidget* parent = nullptr);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void refresh();
    void showNetwork(bool on);
    void showList();
    QString wordsOf(JobBridge& job) const;

    Session& m_session;
    IconLabel* m_icon;
    Text* m_words;
    QProgressBar* m_bar;
    QPushButton* m_pause;
    QPushButton* m_stop;
    QPushButton* m_list;
    Text* m_memory;
    Text* m_network;
    QTimer m_timer;
};

} // namespace fettle::ui
