// Edits of rows: each is one entry of the dataset's undo stack.
#include "ui/data/data_place.h"
#include "ui/data/row_model.h"
#include "ui/data/split_dialog.h"
#include "ui/text/words.h"

#include <QDialog>
#include <QHeaderView>
#include <QLabel>
#include <QListWidget>
#include <QTableView>
#include <QTableWidget>
#include <set>

namespace fettle::ui {

void DataPlace::edit(std::function<Result<void>(store::Dataset&)> act)
{
    if (!m_dataset)
        return;
    struct Edited
    {
        Result<void> result;
        store::DatasetCounts counts;
        QString undoName, redoName;
    };
    m_session.later(
        this,
        [dataset = m_dataset, act = std::move(act)] {
            Edited out{act(*dataset), {}, {}, {}};
            out.counts = dataset->counts();
            out.undoName = qs(dataset->undoName());
            out.redoName = qs(dataset->redoName());
            return out;
        },
        [this](Edited&& edited) {
            if (!edited.result)
                messages()->show(MessageBar::Kind::Error, sentence(edited.result.error()));
            m_undoName = edited.undoName;
            m_redoName = edited.redoName;
            showCounts(edited.counts);
            m_model->reload();
            Q_EMIT undoChanged();
            Q_EMIT m_session.datasetsChanged();
        });
}

void DataPlace::undo()
{
    edit([](store::Dataset& dataset) { return dataset.undo(); });
}

void DataPlace::redo()
{
    edit([](store::Dataset& dataset) { return dataset.redo(); });
}

std::vector<std::int64_t> DataPlace::chosenRows() const
{
    std::vector<std::int64_t> ids;
    for (const QModelIndex& index : m_table->selectionModel()->selectedRows()) {
        if (const store::DatasetRow* row = m_model->rowAt(index.row()))
            ids.push_back(row->id);
    }
    return ids;
}

void DataPlace::dropChosen()
{
    const auto ids = chosenRows();
    if (ids.empty())
        return;
    const bool back = m_model->filter().leftOut;
    edit([ids, back](store::Dataset& dataset) {
        return back ? dataset.restore(ids) : dataset.drop(ids);
    });
    messages()->show(MessageBar::Kind::Information,
                     back ? tr("%n row(s) are back.", nullptr, static_cast<int>(ids.size()))
                          : tr("%n row(s) left out.", nullptr, static_cast<int>(ids.size())),
                     tr("Undo"), [this] { undo(); });
}

void DataPlace::fixHealth()
{
    if (m_health.isEmpty() || !m_dataset)
        return;
    const QString health = m_health;
    edit([health](store::Dataset& dataset) -> Result<void> {
        store::RowFilter filter;
        filter.health = ss(health);
        std::set<std::string> seen;
        std::vector<std::int64_t> out;
        constexpr std::int64_t kPage = 1000;
        for (std::int64_t at = 0;; at += kPage) {
            const auto rows = dataset.rows(filter, at, kPage);
            for (const auto& row : rows) {
                const bool drop = health == "doubled" ? !seen.insert(row.duplicateKey).second
                                  : health == "leaks" ? row.split == data::Split::Train
                                                      : true;
                if (drop)
                    out.push_back(row.id);
            }
            if (rows.size() < static_cast<std::size_t>(kPage))
                break;
        }
        return out.empty() ? Result<void>() : dataset.drop(out);
    });
    setHealth({});
    messages()->show(MessageBar::Kind::Good, tr("Done. The rows are under \"Left out\"."),
                     tr("Undo"), [this] { undo(); });
}

void DataPlace::askSplit()
{
    auto* dialog = new SplitDialog(m_counts.rows, m_hasGroups, m_hasClasses, this);
    connect(dialog, &SplitDialog::chosen, this, [this](const data::SplitPlan& plan) {
        edit([plan](store::Dataset& dataset) { return dataset.splitAgain(plan); });
        messages()->show(MessageBar::Kind::Good, tr("The rows are divided anew."), tr("Undo"),
                         [this] { undo(); });
    });
    dialog->open();
}

void DataPlace::nextWithWarning()
{
    for (const char* health : {"leaks", "doubled", "empty"}) {
        if (m_chips[health]->isEnabled()) {
            setHealth(health);
            m_table->setFocus();
            return;
        }
    }
}

namespace {

/// A small window with a list that only informs about details, opened by the person.
QTableWidget* listDialog(QWidget* parent, const QString& name, const QString& title,
                         const QStringList& columns)
{
    auto* dialog = new QDialog(parent);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setObjectName(name);
    dialog->setWindowTitle(title);
    dialog->resize(Theme::instance().px(640), Theme::instance().px(380));
    auto* table = new QTableWidget(0, static_cast<int>(columns.size()), dialog);
    table->setObjectName(name + "Table");
    table->setAccessibleName(title);
    table->setHorizontalHeaderLabels(columns);
    table->verticalHeader()->hide();
    table->setShowGrid(false);
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    table->horizontalHeader()->setStretchLastSection(true);
    auto* box = new QVBoxLayout(dialog);
    box->addWidget(table);
    auto* close = plainButton(DataPlace::tr("Close"), name + "Close", {}, dialog);
    box->addWidget(close, 0, Qt::AlignRight);
    QObject::connect(close, &QPushButton::clicked, dialog, &QDialog::accept);
    return table;
}

void addRow(QTableWidget* table, const QStringList& cells)
{
    const int row = table->rowCount();
    table->insertRow(row);
    for (int i = 0; i < cells.size(); ++i)
        table->setItem(row, i, new QTableWidgetItem(cells[i]));
}

} // namespace

void DataPlace::showBadRows()
{
    QTableWidget* table = listDialog(this, "dataBadRows", tr("Rows that could not be read"),
                                     {tr("File"), tr("Row"), tr("Why")});
    for (const data::BadRow& bad : m_bad)
        addRow(table, {qs(bad.file), count(bad.row), qs(bad.reason)});
    table->resizeColumnsToContents();
    static_cast<QDialog*>(table->parentWidget())->open();
}

void DataPlace::showVersions()
{
    if (!m_dataset)
        return;
    m_session.later(
        this, [dataset = m_dataset] { return dataset->versions(); },
        [this](std::vector<store::DatasetVersion>&& versions) {
            if (versions.empty()) {
                messages()->show(
                    MessageBar::Kind::Information,
                    tr("A version is kept each time a run starts. There is none yet."));
                return;
            }
            QTableWidget* table = listDialog(this, "dataVersions", tr("Versions of %1").arg(m_name),
                                             {tr("Version"), tr("Kept"), tr("Rows"), tr("Training"),
                                              tr("Checking"), tr("Test"), tr("Fingerprint")});
            for (const auto& v : versions)
                addRow(table, {count(v.number), whenText(v.time), count(v.counts.rows),
                               count(v.counts.train), count(v.counts.validation),
                               count(v.counts.test), qs(v.digest.substr(0, 8))});
            table->resizeColumnsToContents();
            static_cast<QDialog*>(table->parentWidget())->open();
        });
}

} // namespace fettle::ui
