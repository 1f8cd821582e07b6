#pragma once

#include "recipes/encode.h"
#include "store/dataset.h"
#include "ui/session/session.h"

#include <QAbstractTableModel>
#include <QHash>
#include <QSet>

namespace fettle::ui {

/// Rows of a dataset as a table that holds only the pages in view: fluid at 100,000 rows.
class RowModel : public QAbstractTableModel
{
    Q_OBJECT
public:
    enum Column
    {
        Position,
        Question,
        AnswerText,
        Pieces,
        Part,
        ColumnCount
    };

    RowModel(Session& session, QObject* parent = nullptr);

    void setDataset(std::shared_ptr<store::Dataset> dataset);
    void setFilter(const store::RowFilter& filter);
    void setEncoder(std::shared_ptr<const recipes::Encoder> encoder);
    /// Asks the dataset again: after edits, undo, import.
    void reload();
    const store::RowFilter& filter() const { return m_filter; }

    /// The row when it is loaded already, else nothing.
    const store::DatasetRow* rowAt(int position) const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

Q_SIGNALS:
    void reloaded();
    void pageLoaded(int firstRow, int lastRow);

private:
    struct Page
    {
        std::vector<store::DatasetRow> rows;
        std::vector<std::int64_t> pieces; ///< -1: not counted
    };

    void request(int page) const;

    Session& m_session;
    std::shared_ptr<store::Dataset> m_dataset;
    std::shared_ptr<const recipes::Encoder> m_encoder;
    store::RowFilter m_filter;
    int m_count = 0;
    int m_generation = 0;
    mutable QHash<int, Page> m_pages;
    mutable QList<int> m_recent;
    mutable QSet<int> m_wanted;
};

QString splitWords(data::Split split);

} // namespace fettle::ui
