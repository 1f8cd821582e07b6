#pragma once

#include <QStringList>
#include <functional>

class QWidget;

namespace fettle::ui::ask {

/// Every question to the person goes through here, so that tests can answer beforehand.
/// The functions give their answer to a callback: nothing runs a nested event loop.
void files(QWidget* parent, const QString& title, const QString& filter,
           std::function<void(QStringList)> then);
void folder(QWidget* parent, const QString& title, std::function<void(QString)> then);
void saveFile(QWidget* parent, const QString& title, const QString& proposal, const QString& filter,
              std::function<void(QString)> then);
/// One question, one button per answer; gives the index, or -1 when closed. The last answer is
/// Esc's.
void choice(QWidget* parent, const QString& title, const QString& text, const QStringList& answers,
            std::function<void(int)> then);
void line(QWidget* parent, const QString& title, const QString& label, const QString& proposal,
          std::function<void(QString)> then);

/// Tests: the next question is answered by this and no window opens.
void answerNextWith(const QStringList& paths);
void answerNextWith(int index);
/// How many questions have been asked so far, answered beforehand or not.
int asked();

} // namespace fettle::ui::ask
