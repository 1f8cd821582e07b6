#pragma once

#include "store/workspace.h"

#include <QListWidget>
#include <QStyledItemDelegate>

namespace fettle::ui {

/// Runs, newest first: name, state in words, colour and marker for life. Several may be chosen.
class RunList : public QListWidget
{
    Q_OBJECT
public:
    explicit RunList(QWidget* parent = nullptr);

    void setRuns(const std::vector<store::RunRecord>& runs);
    void updateProgress(const std::string& id, std::int64_t step, std::int64_t total,
                        const QString& words);
    QStringList chosen() const; ///< the current one first
    void choose(const QString& id);
};

/// Draws a run as two lines with its line sample.
class RunDelegate : public QStyledItemDelegate
{
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    enum Role
    {
        Id = Qt::UserRole,
        Colour,
        Second,
        Icon,
        Part
    };

    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override;
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
};

} // namespace fettle::ui
