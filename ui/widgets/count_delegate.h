#pragma once

#include <QStyledItemDelegate>

namespace fettle::ui {

/// A list's row with words at the left and a number at the right, in second text.
class CountDelegate : public QStyledItemDelegate
{
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    enum Role { Number = Qt::UserRole + 20 };

    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
};

} // namespace fettle::ui
