#include "ui/plots/plot_table.h"

#include "ui/text/words.h"

#include <cmath>

namespace fettle::ui {

PlotTable::PlotTable(const std::vector<Curve>* curves, QObject* parent)
    : QAbstractTableModel(parent)
    , m_curves(curves)
{
}

void PlotTable::reload()
{
    beginResetModel();
    m_rows.clear();
    for (const Curve& curve : *m_curves) {
        if (!curve.visible)
            continue;
        for (const CheckValue& c : curve.checks)
            m_rows.push_back({curve.name, tr("checking rows"), c.at, c.low, c.high});
        for (const PlotPoint& p : curve.raw)
            m_rows.push_back({curve.name, tr("training rows"), p, 0, 0});
    }
    endResetModel();
}

int PlotTable::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int PlotTable::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : 7; }

QVariant PlotTable::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    switch (section) {
    case 0:
        return tr("Run");
    case 1:
        return tr("Measured on");
    case 2:
        return tr("Step");
    case 3:
        return tr("Word pieces");
    case 4:
        return tr("Time without pauses");
    case 5:
        return tr("Value");
    default:
        return tr("Range");
    }
}

QVariant PlotTable::data(const QModelIndex& index, int role) const
{
    const Row& row = m_rows[static_cast<std::size_t>(index.row())];
    if (role == Qt::TextAlignmentRole)
        return int(Qt::AlignVCenter | (index.column() >= 2 ? Qt::AlignRight : Qt::AlignLeft));
    if (role != Qt::DisplayRole)
        return {};
    switch (index.column()) {
    case 0:
        return row.run;
    case 1:
        return row.rows;
    case 2:
        return count(row.point.step);
    case 3:
        return count(static_cast<std::int64_t>(row.point.pieces));
    case 4:
        return durationText(row.point.seconds);
    case 5:
        return number(row.point.value, 4);
    default:
        return row.high > row.low ? tr("%1 to %2").arg(number(row.low), number(row.high))
                                  : QString();
    }
}

} // namespace fettle::ui
