#include "ui/widgets/ask.h"

#include <QFileDialog>
#include <QInputDialog>
#include <QMessageBox>
#include <QPushButton>
#include <QTimer>
#include <deque>

namespace fettle::ui::ask {

namespace {

std::deque<QStringList> g_paths;
std::deque<int> g_choices;
int g_asked = 0;

/// An answer set beforehand, as if the person had given it after the question was shown.
template<class Queue, class Then> bool answered(Queue& queue, QWidget* parent, const Then& then)
{
    ++g_asked;
    if (queue.empty())
        return false;
    auto value = queue.front();
    queue.pop_front();
    QTimer::singleShot(0, parent, [then, value] { then(value); });
    return true;
}

QFileDialog* dialog(QWidget* parent, const QString& title)
{
    auto* box = new QFileDialog(parent, title);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setObjectName("askFiles");
    return box;
}

} // namespace

void files(QWidget* parent, const QString& title, const QString& filter,
           std::function<void(QStringList)> then)
{
    if (answered(g_paths, parent, then))
        return;
    auto* box = dialog(parent, title);
    box->setFileMode(QFileDialog::ExistingFiles);
    box->setNameFilter(filter);
    QObject::connect(box, &QFileDialog::filesSelected, parent, then);
    box->open();
}

void folder(QWidget* parent, const QString& title, std::function<void(QString)> then)
{
    if (answered(g_paths, parent, [then](const QStringList& paths) { then(paths.value(0)); }))
        return;
    auto* box = dialog(parent, title);
    box->setFileMode(QFileDialog::Directory);
    box->setOption(QFileDialog::ShowDirsOnly);
    QObject::connect(box, &QFileDialog::fileSelected, parent, then);
    box->open();
}

void saveFile(QWidget* parent, const QString& title, const QString& proposal, const QString& filter,
              std::function<void(QString)> then)
{
    if (answered(g_paths, parent, [then](const QStringList& paths) { then(paths.value(0)); }))
        return;
    auto* box = dialog(parent, title);
    box->setAcceptMode(QFileDialog::AcceptSave);
    box->setNameFilters(filter.split(";;"));
    box->selectFile(proposal);
    QObject::connect(box, &QFileDialog::fileSelected, parent, then);
    box->open();
}

void choice(QWidget* parent, const QString& title, const QString& text, const QStringList& answers,
            std::function<void(int)> then)
{
    if (answered(g_choices, parent, then))
        return;
    auto* box = new QMessageBox(QMessageBox::Question, title, title, QMessageBox::NoButton, parent);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setObjectName("askChoice");
    box->setInformativeText(text);
    QList<QPushButton*> buttons;
    for (qsizetype i = 0; i < answers.size(); ++i) {
        const auto role =
            i + 1 == answers.size() ? QMessageBox::RejectRole : QMessageBox::AcceptRole;
        buttons << box->addButton(answers[i], role);
        buttons.last()->setObjectName(QStringLiteral("askAnswer_%1").arg(i));
    }
    buttons.first()->setProperty("main", true);
    box->setDefaultButton(buttons.first());
    box->setEscapeButton(buttons.last());
    QObject::connect(box, &QMessageBox::finished, parent, [box, buttons, then] {
        then(static_cast<int>(buttons.indexOf(static_cast<QPushButton*>(box->clickedButton()))));
    });
    box->open();
}

void line(QWidget* parent, const QString& title, const QString& label, const QString& proposal,
          std::function<void(QString)> then)
{
    if (answered(g_paths, parent, [then](const QStringList& words) { then(words.value(0)); }))
        return;
    auto* box = new QInputDialog(parent);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setObjectName("askLine");
    box->setWindowTitle(title);
    box->setLabelText(label);
    box->setTextValue(proposal);
    QObject::connect(box, &QInputDialog::textValueSelected, parent, then);
    box->open();
}

void answerNextWith(const QStringList& paths) { g_paths.push_back(paths); }
void answerNextWith(int index) { g_choices.push_back(index); }
int asked() { return g_asked; }

} // namespace fettle::ui::ask
