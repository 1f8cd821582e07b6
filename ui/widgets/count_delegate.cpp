#include "ui/widgets/count_delegate.h"

#include "ui/theme/style.h"
#include "ui/theme/theme.h"

#include <QPainter>

namespace fettle::ui {

void CountDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                          const QModelIndex& index) const
{
    const Colours& c = colours();
    const QRect r = option.rect.adjusted(4, 1, -4, -1);
    painter->save();
    if (option.state & QStyle::State_Selected)
        roundedRect(painter, r, c.tint, c.highContrast ? c.text : QColor(), 6, 2);
    else if (option.state & QStyle::State_MouseOver)
        roundedRect(painter, r, c.hover(), {}, 6);
    const QRect words = r.adjusted(10, 0, -10, 0);
    painter->setFont(option.font);
    painter->setPen(c.secondText);
    painter->drawText(words, Qt::AlignRight | Qt::AlignVCenter, index.data(Number).toString());
    painter->setPen(c.text);
    painter->drawText(words, Qt::AlignLeft | Qt::AlignVCenter,
                      index.data(Qt::DisplayRole).toString());
    painter->restore();
}

} // namespace fettle::ui
