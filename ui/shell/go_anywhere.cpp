#include "ui/shell/go_anywhere.h"

#include "ui/shell/rail.h"
#include "ui/text/words.h"
#include "ui/theme/icons.h"

#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QVBoxLayout>

namespace fettle::ui {

GoAnywhere::GoAnywhere(Session& session, QWidget* parent)
    : QDialog(parent)
    , m_session(session)
    , m_edit(new QLineEdit(this))
    , m_list(new QListWidget(this))
{
    setAttribute(Qt::WA_DeleteOnClose);
    setObjectName("goAnywhere");
    setWindowTitle(tr("Go to anything"));
    resize(520, 380);
    m_edit->setObjectName("goAnywhereEdit");
    m_edit->setAccessibleName(tr("Place, run, dataset, model or setting"));
    m_edit->setPlaceholderText(m_edit->accessibleName());
    m_edit->installEventFilter(this);
    m_list->setObjectName("goAnywhereList");
    m_list->setAccessibleName(tr("What was found"));
    auto* box = new QVBoxLayout(this);
    box->addWidget(m_edit);
    box->addWidget(m_list);
    const auto add = [this](const QString& words, const QString& iconName, const QString& place,
                            const QString& argument) {
        auto* item = new QListWidgetItem(icon(iconName), words, m_list);
        item->setData(Qt::UserRole, place);
        item->setData(Qt::UserRole + 1, argument);
    };
    for (const PlaceName& place : placeNames())
        add(place.words, place.icon, place.name, {});
    for (const auto& spec : recipes::trainingSettings())
        add(tr("Setting: %1").arg(qs(spec.label)), "settings-configure", "plan",
            "setting:" + qs(spec.key));
    connect(m_edit, &QLineEdit::textChanged, this, &GoAnywhere::filter);
    connect(m_edit, &QLineEdit::returnPressed, this, &GoAnywhere::choose);
    connect(m_list, &QListWidget::itemActivated, this, &GoAnywhere::choose);
    m_list->setCurrentRow(0);
    struct Found
    {
        std::vector<store::RunRecord> runs;
        std::vector<store::DatasetRecord> datasets;
    };
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            return Found{workspace->runs(), workspace->datasets()};
        },
        [this, add](Found&& found) {
            for (const auto& run : found.runs)
                add(tr("Run %1: %2").arg(count(run.number), qs(run.name)), "office-chart-line",
                    "runs", qs(run.id));
            for (const auto& dataset : found.datasets)
                add(tr("Examples: %1").arg(qs(dataset.name)), "table", "data", qs(dataset.name));
            filter(m_edit->text());
        });
}

void GoAnywhere::filter(const QString& words)
{
    const QStringList parts = words.split(' ', Qt::SkipEmptyParts);
    int first = -1;
    for (int i = 0; i < m_list->count(); ++i) {
        bool found = true;
        for (const QString& part : parts)
            found = found && m_list->item(i)->text().contains(part, Qt::CaseInsensitive);
        m_list->item(i)->setHidden(!found);
        if (found && first < 0)
            first = i;
    }
    m_list->setCurrentRow(first);
}

void GoAnywhere::choose()
{
    if (const QListWidgetItem* item = m_list->currentItem()) {
        const QString place = item->data(Qt::UserRole).toString(),
                      argument = item->data(Qt::UserRole + 1).toString();
        accept();
        m_session.go(place, argument);
    }
}

bool GoAnywhere::eventFilter(QObject* object, QEvent* event)
{
    if (event->type() == QEvent::KeyPress) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        if (key == Qt::Key_Down || key == Qt::Key_Up) {
            for (int row = m_list->currentRow() + (key == Qt::Key_Down ? 1 : -1);
                 row >= 0 && row < m_list->count(); row += key == Qt::Key_Down ? 1 : -1) {
                if (!m_list->item(row)->isHidden()) {
                    m_list->setCurrentRow(row);
                    break;
                }
            }
            return true;
        }
    }
    return QDialog::eventFilter(object, event);
}

} // namespace fettle::ui
