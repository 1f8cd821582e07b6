#include "ui/runs/run_list.h"

#include "ui/plots/legend_entry.h"
#include "ui/runs/run_details.h"
#include "ui/text/words.h"
#include "ui/theme/icons.h"
#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QPainter>

namespace fettle::ui {

RunList::RunList(QWidget* parent)
    : QListWidget(parent)
{
    setObjectName("runsList");
    setAccessibleName(tr("Runs"));
    setAccessibleDescription(tr("Choose several to lay their curves over each other"));
    setSelectionMode(QAbstractItemView::ExtendedSelection);
    setItemDelegate(new RunDelegate(this));
    setUniformItemSizes(true);
    setMinimumWidth(Theme::instance().px(200));
}

namespace {

QString secondLine(const store::RunRecord& run)
{
    if (run.status == store::RunStatus::Failed && !run.message.empty())
        return qs(run.message);
    QString words = statusWords(run.status);
    const bool ended = run.status == store::RunStatus::Finished ||
                       run.status == store::RunStatus::Stopped ||
                       run.status == store::RunStatus::Interrupted;
    if (run.totalSteps > 0 && !(ended && run.step == run.totalSteps))
        words += RunList::tr(", step %1 of %2").arg(count(run.step), count(run.totalSteps));
    if (run.bestEvalLoss)
        words += RunList::tr(" · loss %1").arg(number(*run.bestEvalLoss));
    return words;
}

} // namespace

void RunList::setRuns(const std::vector<store::RunRecord>& runs)
{
    const QStringList before = chosen();
    const QSignalBlocker quiet(this);
    clear();
    for (const store::RunRecord& run : runs) {
        auto* item = new QListWidgetItem(runTitle(run), this);
        item->setData(RunDelegate::Id, qs(run.id));
        item->setData(RunDelegate::Colour, run.colour);
        item->setData(RunDelegate::Second, secondLine(run));
        item->setData(RunDelegate::Icon, statusIcon(run.status));
        const bool going =
            run.status == store::RunStatus::Running || run.status == store::RunStatus::Paused;
        item->setData(RunDelegate::Part,
                      going && run.totalSteps > 0
                          ? static_cast<double>(run.step) / static_cast<double>(run.totalSteps)
                          : -1.0);
        item->setToolTip(runTitle(run) + '\n' + runLine(run) + '\n' + secondLine(run));
        item->setData(Qt::AccessibleTextRole, item->toolTip());
        if (before.contains(qs(run.id)))
            item->setSelected(true);
        if (!before.isEmpty() && before.first() == qs(run.id))
            setCurrentItem(item, QItemSelectionModel::Select);
    }
    if (!currentItem() && count() > 0)
        setCurrentRow(0);
}

void RunList::updateProgress(const std::string& id, std::int64_t step, std::int64_t total,
                             const QString& words)
{
    for (int i = 0; i < count(); ++i) {
        if (item(i)->data(RunDelegate::Id).toString() != qs(id))
            continue;
        item(i)->setData(RunDelegate::Second, words);
        item(i)->setData(RunDelegate::Icon, statusIcon(store::RunStatus::Running));
        item(i)->setData(RunDelegate::Part,
                         total > 0 ? static_cast<double>(step) / static_cast<double>(total) : -1.0);
    }
}

QStringList RunList::chosen() const
{
    QStringList ids;
    if (currentItem() && currentItem()->isSelected())
        ids << currentItem()->data(RunDelegate::Id).toString();
    for (const QListWidgetItem* item : selectedItems()) {
        const QString id = item->data(RunDelegate::Id).toString();
        if (!ids.contains(id))
            ids << id;
    }
    return ids;
}

void RunList::choose(const QString& id)
{
    for (int i = 0; i < count(); ++i) {
        if (item(i)->data(RunDelegate::Id).toString() == id) {
            setCurrentRow(i, QItemSelectionModel::ClearAndSelect);
            return;
        }
    }
}

void RunDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                        const QModelIndex& index) const
{
    const Colours& c = colours();
    const Theme& theme = Theme::instance();
    painter->save();
    const QRect r = option.rect.adjusted(4, 2, -4, -2);
    if (option.state & QStyle::State_Selected)
        roundedRect(painter, r, c.tint, c.highContrast ? c.text : QColor(), 6, 2);
    else if (option.state & QStyle::State_MouseOver)
        roundedRect(painter, r, c.hover(), {}, 6);
    const int left = r.left() + theme.px(10);
    paintRunSample(painter, QRect(left, r.top() + theme.px(10), theme.px(22), theme.px(14)),
                   index.data(Colour).toInt());
    const int textLeft = left + theme.px(32);
    const int width = r.right() - textLeft - theme.px(8);
    painter->setFont(theme.font(TextRole::Group));
    painter->setPen(c.text);
    const QString title = index.data(Qt::DisplayRole).toString();
    painter->drawText(QRect(textLeft, r.top() + theme.px(6), width, theme.px(20)),
                      Qt::AlignVCenter | Qt::TextSingleLine,
                      painter->fontMetrics().elidedText(title, Qt::ElideMiddle, width));
    painter->setFont(theme.font(TextRole::Small));
    painter->setPen(c.secondText);
    const QString iconName = index.data(Icon).toString();
    const Ink ink = iconName == "data-error"             ? Ink::Error
                    : iconName == "data-success"         ? Ink::Good
                    : iconName == "data-warning"         ? Ink::Warning
                    : iconName == "media-playback-start" ? Ink::Accent
                                                         : Ink::Second;
    const int side = theme.px(16);
    painter->drawPixmap(left + theme.px(3), r.top() + theme.px(28),
                        iconPixmap(iconName, side, ink, painter->device()->devicePixelRatioF()));
    painter->drawText(
        QRect(textLeft, r.top() + theme.px(26), width, theme.px(20)),
        Qt::AlignVCenter | Qt::TextSingleLine,
        painter->fontMetrics().elidedText(index.data(Second).toString(), Qt::ElideRight, width));
    if (const double part = index.data(Part).toDouble(); part >= 0) {
        const QRect bar(textLeft, r.bottom() - theme.px(6), width, 3);
        roundedRect(painter, bar, c.hairline(), {}, 1.5);
        QRect done = bar;
        done.setWidth(qRound(bar.width() * qBound(0.0, part, 1.0)));
        roundedRect(painter, done, c.accent, {}, 1.5);
    }
    if ((option.state & QStyle::State_HasFocus) &&
        (option.state & QStyle::State_KeyboardFocusChange))
        focusRing(painter, r);
    painter->restore();
}

QSize RunDelegate::sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const
{
    return {Theme::instance().px(180), Theme::instance().px(60)};
}

} // namespace fettle::ui
