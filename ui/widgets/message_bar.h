#pragma once

#include "ui/widgets/basics.h"

#include <QTimer>
#include <functional>

namespace fettle::ui {

/// One sentence in the page, with at most one action. Never a box of its own.
class MessageBar : public QFrame
{
    Q_OBJECT
public:
    enum class Kind
    {
        Information,
        Good,
        Warning,
        Error
    };

    /// `place`: prefix of the objectNames ("home" gives homeMessageBar, homeMessageText, ...).
    explicit MessageBar(const QString& place, QWidget* parent = nullptr);

    void show(Kind kind, const QString& text, const QString& action = {},
              std::function<void()> act = {});
    /// What "Copy details" puts on the clipboard; empty: no such button.
    void setDetails(const QString& details);
    void clear();
    QString text() const { return m_text->text(); }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Kind m_kind = Kind::Information;
    IconLabel* m_icon;
    Text* m_text;
    QPushButton* m_action;
    QPushButton* m_copy;
    QToolButton* m_close;
    std::function<void()> m_act;
    QString m_details;
};

} // namespace fettle::ui
