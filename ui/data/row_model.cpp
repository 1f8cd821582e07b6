#include "ui/data/row_model.h"

#include "ui/text/words.h"
#include "ui/theme/theme.h"

#include <limits>

namespace fettle::ui {

namespace {

constexpr int kPage = 100;
constexpr int kPagesKept = 40;
constexpr qsizetype kShown = 240;

/// The start of a text on one line.
QString oneLine(const std::string& text)
{
    QString line = QString::fromUtf8(
        text.data(), static_cast<qsizetype>(std::min<std::size_t>(text.size(), 1200)));
    line.truncate(kShown);
    return line.simplified();
}

} // namespace

QString splitWords(data::Split split)
{
    switch (split) {
    case data::Split::Train:
        return RowModel::tr("training");
    case data::Split::Validation:
        return RowModel::tr("checking");
    case data::Split::Test:
        break;
    }
    return RowModel::tr("test");
}

RowModel::RowModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
}

void RowModel::setDataset(std::shared_ptr<store::Dataset> dataset)
{
    m_dataset = std::move(dataset);
    reload();
}

void RowModel::setFilter(const store::RowFilter& filter)
{
    m_filter = filter;
    reload();
}

void RowModel::setEncoder(std::shared_ptr<const recipes::Encoder> encoder)
{
    m_encoder = std::move(encoder);
    ++m_generation;
    m_pages.clear();
    m_wanted.clear();
    if (m_count > 0)
        Q_EMIT dataChanged(index(0, 0), index(m_count - 1, ColumnCount - 1));
}

void RowModel::reload()
{
    const int generation = ++m_generation;
    if (!m_dataset) {
        beginResetModel();
        m_count = 0;
        m_pages.clear();
        endResetModel();
        return;
    }
    m_session.later(
        this, [dataset = m_dataset, filter = m_filter] { return dataset->count(filter); },
        [this, generation](std::int64_t rows) {
            if (generation != m_generation)
                return;
            const int fresh =
                static_cast<int>(std::min<std::int64_t>(rows, std::numeric_limits<int>::max() - 1));
            beginResetModel();
            m_count = fresh;
            m_pages.clear();
            m_wanted.clear();
            m_recent.clear();
            endResetModel();
            Q_EMIT reloaded();
        });
}

void RowModel::request(int page) const
{
    if (m_wanted.contains(page) || !m_dataset)
        return;
    m_wanted.insert(page);
    auto* self = const_cast<RowModel*>(this);
    m_session.later(
        self,
        [dataset = m_dataset, filter = m_filter, encoder = m_encoder, page] {
            Page loaded{dataset->rows(filter, std::int64_t{page} * kPage, kPage), {}};
            for (const auto& row : loaded.rows) {
                std::int64_t pieces = -1;
                if (encoder) {
                    if (auto ids = encoder->encode(row.example, text::LossOn::Answers))
                        pieces = static_cast<std::int64_t>(ids->ids.size());
                }
                loaded.pieces.push_back(pieces);
            }
            return loaded;
        },
        [self, page, generation = m_generation](Page&& loaded) {
            if (generation != self->m_generation)
                return;
            self->m_wanted.remove(page);
            self->m_pages.insert(page, std::move(loaded));
            self->m_recent.removeAll(page);
            self->m_recent.append(page);
            while (self->m_recent.size() > kPagesKept)
                self->m_pages.remove(self->m_recent.takeFirst());
            const int first = page * kPage, last = std::min(self->m_count, first + kPage) - 1;
            if (last >= first)
                Q_EMIT self->dataChanged(self->index(first, 0), self->index(last, ColumnCount - 1));
            Q_EMIT self->pageLoaded(first, last);
        });
}

const store::DatasetRow* RowModel::rowAt(int position) const
{
    if (position < 0 || position >= m_count)
        return nullptr;
    const auto page = m_pages.constFind(position / kPage);
    if (page == m_pages.constEnd()) {
        request(position / kPage);
        return nullptr;
    }
    const auto at = static_cast<std::size_t>(position % kPage);
    return at < page->rows.size() ? &page->rows[at] : nullptr;
}

int RowModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_count; }
int RowModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant RowModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return int(Qt::AlignVCenter |
                   (section == Position || section == Pieces ? Qt::AlignRight : Qt::AlignLeft));
    if (role == Qt::ToolTipRole)
        return section == Pieces ? wordTip("word piece")
               : section == Part ? wordTip("checking rows")
                                 : QVariant();
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Position:
        return tr("Row");
    case Question:
        return tr("Question");
    case AnswerText:
        return tr("Answer");
    case Pieces:
        return tr("Pieces");
    default:
        return tr("Part");
    }
}

QVariant RowModel::data(const QModelIndex& index, int role) const
{
    if (role == Qt::TextAlignmentRole)
        return int(Qt::AlignVCenter |
                   (index.column() == Position || index.column() == Pieces ? Qt::AlignRight
                                                                           : Qt::AlignLeft));
    if (role == Qt::ForegroundRole && (index.column() == Position || index.column() == Part))
        return colours().secondText;
    if (role != Qt::DisplayRole && role != Qt::ToolTipRole)
        return {};
    if (role == Qt::DisplayRole && index.column() == Position)
        return count(index.row() + 1);
    const store::DatasetRow* row = rowAt(index.row());
    if (!row)
        return role == Qt::DisplayRole ? QVariant(QStringLiteral("…")) : QVariant();
    switch (index.column()) {
    case Question:
        return oneLine(askedText(row->example));
    case AnswerText:
        return oneLine(data::answerOf(row->example));
    case Part:
        return row->leftOut ? tr("left out") : splitWords(row->split);
    case Pieces: {
        const Page& page = m_pages[index.row() / kPage];
        const std::int64_t pieces = page.pieces[static_cast<std::size_t>(index.row() % kPage)];
        return pieces < 0 ? QVariant(QStringLiteral("–")) : QVariant(count(pieces));
    }
    default:
        return role == Qt::ToolTipRole && !row->example.source.empty()
                   ? QVariant(tr("%1, row %2")
                                  .arg(qs(row->example.source), count(row->example.sourceRow)))
                   : QVariant();
    }
}

} // namespace fettle::ui
