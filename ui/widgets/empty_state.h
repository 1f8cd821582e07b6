#pragma once

#include "ui/widgets/basics.h"

namespace fettle::ui {

/// What an empty place shows: what will be here, in one sentence, and the button that fills it.
class EmptyState : public QWidget
{
    Q_OBJECT
public:
    EmptyState(const QString& iconName, const QString& title, const QString& line,
               QWidget* parent = nullptr);
    /// The button stands under the sentence.
    void setButton(QPushButton* button);
    void setWords(const QString& title, const QString& line);
    QVBoxLayout* box() const { return m_box; }

private:
    Text* m_title;
    Text* m_line;
    QVBoxLayout* m_box;
};

/// A phase word, a bar, time left and Cancel, in the middle of a place that fills.
class LoadingState : public QWidget
{
    Q_OBJECT
public:
    explicit LoadingState(const QString& place, QWidget* parent = nullptr);
    void start(const QString& phase);
    void setProgress(const QString& phase, double fraction); ///< negative: unknown

Q_SIGNALS:
    void cancelled();

private:
    Text* m_phase;
    Text* m_time;
    class QProgressBar* m_bar;
    QPushButton* m_cancel;
    qint64 m_started = 0;
};

} // namespace fettle::ui
