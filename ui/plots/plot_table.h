#pragma once

#include "ui/plots/plot_data.h"

#include <QAbstractTableModel>

namespace fettle::ui {

/// The plot as a table: one row per point, newest last; raw values and checks of all visible runs.
class PlotTable : public QAbstractTableModel
{
    Q_OBJECT
public:
    explicit PlotTable(const std::vector<Curve>* curves, QObject* parent = nullptr);
    void reload();

    int rowCount(const QModelIndex& parent) const override;
    int columnCount(const QModelIndex& parent) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Row
    {
        QString run, rows;
        PlotPoint point;
        double low, high;
    };
    const std::vector<Curve>* m_curves;
    std::vector<Row> m_rows;
};

} // namespace fettle::ui
