// What the Data place shows of a dataset: list, counts, health, the chosen row.
#include "ui/data/data_place.h"
#include "ui/data/row_model.h"
#include "ui/text/words.h"
#include "ui/widgets/count_delegate.h"

#include <QComboBox>
#include <QLineEdit>
#include <QListWidget>
#include <QTableView>

namespace fettle::ui {

void DataPlace::refreshList()
{
    struct Found
    {
        std::vector<store::DatasetRecord> datasets;
        std::vector<store::ModelRecord> models;
        QString last;
    };
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            Found found{workspace->datasets(), workspace->models(), {}};
            const Json last = workspace->preference("lastDataset");
            found.last = last.is_string() ? qs(last.get<std::string>()) : QString();
            return found;
        },
        [this](Found&& found) {
            m_filling = true;
            m_datasets->clear();
            for (const auto& record : found.datasets)
                m_datasets->addItem(qs(record.name));
            m_datasets->setVisible(!found.datasets.empty());
            QComboBox* models = m_view->modelCombo();
            const QString chosen = models->currentText();
            models->clear();
            for (const auto& record : found.models)
                models->addItem(qs(record.name));
            models->setVisible(!found.models.empty());
            if (models->findText(chosen) >= 0)
                models->setCurrentText(chosen);
            m_filling = false;
            if (!m_name.isEmpty())
                m_datasets->setCurrentText(m_name);
            if (m_dataset) {
                if (!m_encoder)
                    modelChanged();
            } else if (state() != PlaceState::Loading) {
                if (found.datasets.empty())
                    setState(PlaceState::Empty);
                else
                    openDataset(m_datasets->findText(found.last) >= 0 ? found.last
                                                                      : m_datasets->itemText(0));
            }
        });
}

void DataPlace::openDataset(const QString& name)
{
    m_session.later(
        this,
        [workspace = m_session.workspace(), name = ss(name)] {
            Opened out;
            auto dataset = workspace->dataset(name);
            if (!dataset) {
                out.error = dataset.error();
                return out;
            }
            out.dataset = *dataset;
            out.counts = out.dataset->counts();
            out.first = out.dataset->rows({}, 0, 3);
            out.bad = out.dataset->badRows();
            out.undoName = qs(out.dataset->undoName());
            out.redoName = qs(out.dataset->redoName());
            out.info = out.dataset->importInfo();
            out.source = workspace->preference("import/" + name);
            workspace->setPreference("lastDataset", name);
            return out;
        },
        [this, name](Opened&& result) {
            if (!result.error && m_name != name)
                m_encoder.reset();
            m_name = result.error ? m_name : name;
            opened(std::move(result));
        });
}

void DataPlace::opened(Opened&& result)
{
    if (result.error) {
        setState(m_dataset ? PlaceState::Full : PlaceState::Empty);
        messages()->show(MessageBar::Kind::Error, sentence(*result.error));
        return;
    }
    m_dataset = result.dataset;
    m_bad = std::move(result.bad);
    m_undoName = result.undoName;
    m_redoName = result.redoName;
    if (m_datasets->findText(m_name) < 0)
        m_datasets->addItem(m_name);
    m_datasets->setCurrentText(m_name);
    m_datasets->show();
    setSubtitle(m_name);
    // An import is an entry of the undo stack too; roles stay changeable until a person has edited.
    if (m_undoName.startsWith("import") || m_undoName.startsWith("add"))
        m_undoName = m_fresh ? QString() : m_undoName;
    showHead(result);
    showCounts(result.counts);
    showFirstLook(result.first);
    m_health.clear();
    setHealth({});
    setState(PlaceState::Full);
    m_model->setDataset(m_dataset);
    if (m_sources->currentRow() != 0) {
        const QSignalBlocker quiet(m_sources);
        m_sources->setCurrentRow(0);
        m_model->setFilter({});
    }
    if (!m_encoder)
        modelChanged();
    Q_EMIT undoChanged();
}

void DataPlace::showCounts(const store::DatasetCounts& counts)
{
    m_counts = counts;
    const std::pair<QString, std::int64_t> parts[] = {{tr("All"), counts.rows},
                                                      {tr("Training"), counts.train},
                                                      {tr("Checking"), counts.validation},
                                                      {tr("Test"), counts.test},
                                                      {tr("Left out"), counts.leftOut}};
    const QString tips[] = {QString(), wordTip("training rows"), wordTip("checking rows"),
                            wordTip("test rows"), tr("Rows that you dropped; they can come back")};
    for (int i = 0; i < 5; ++i) {
        QListWidgetItem* item = m_sources->item(i);
        item->setText(parts[i].first);
        item->setData(CountDelegate::Number, count(parts[i].second));
        item->setData(Qt::AccessibleTextRole, parts[i].first + ' ' + count(parts[i].second));
        item->setToolTip(tips[i]);
        item->setSizeHint({0, Theme::instance().px(30)});
    }
    const auto chip = [this](const QString& name, std::int64_t value, const QString& words,
                             const QString& none) {
        QToolButton* button = m_chips[name];
        button->setIcon(icon(value > 0 ? "data-warning" : "data-success",
                             value > 0 ? Ink::Warning : Ink::Good));
        button->setText(value > 0 ? words : none);
        button->setAccessibleName(button->text());
        button->setEnabled(value > 0);
    };
    chip("doubled", counts.doubled, tr("%n doubled", nullptr, static_cast<int>(counts.doubled)),
         tr("none doubled"));
    chip("leaks", counts.leaks, tr("%n leak(s)", nullptr, static_cast<int>(counts.leaks)),
         tr("no leaks"));
    chip("empty", counts.empty, tr("%n empty", nullptr, static_cast<int>(counts.empty)),
         tr("none empty"));
    chip("unread", counts.badRows, tr("%n not readable", nullptr, static_cast<int>(counts.badRows)),
         tr("all readable"));
    m_chips["leaks"]->setToolTip(wordTip("leak"));
    m_right->setEnabled(counts.train > 0);
}

void DataPlace::applyFilter()
{
    store::RowFilter filter;
    filter.text = ss(m_filter->text().trimmed());
    filter.health = ss(m_health);
    switch (m_sources->currentRow()) {
    case 1:
        filter.split = data::Split::Train;
        break;
    case 2:
        filter.split = data::Split::Validation;
        break;
    case 3:
        filter.split = data::Split::Test;
        break;
    case 4:
        filter.leftOut = true;
        break;
    default:
        break;
    }
    m_model->setFilter(filter);
}

void DataPlace::setHealth(const QString& health)
{
    m_health = health;
    for (const auto& [name, chip] : m_chips)
        chip->setChecked(name == health);
    m_fix->setVisible(!health.isEmpty());
    if (health == "doubled") {
        m_fixWords->setText(tr("These rows occur more than once. A doubled row counts twice and "
                               "teaches nothing new."));
        m_fixButton->setText(tr("Leave out all but the first"));
    } else if (health == "leaks") {
        m_fixWords->setText(tr("These questions stand in the training rows and in the checking or "
                               "test rows: scores would flatter."));
        m_fixButton->setText(tr("Leave out the training copies"));
    } else if (health == "empty") {
        m_fixWords->setText(tr("These rows have no question or no answer."));
        m_fixButton->setText(tr("Leave them out"));
    }
    if (m_dataset)
        applyFilter();
}

void DataPlace::modelChanged()
{
    const QString model = m_view->modelCombo()->currentText();
    if (model.isEmpty() || !m_dataset || m_filling)
        return;
    m_session.later(
        this,
        [encoders = m_encoders, workspace = m_session.workspace(), dataset = m_dataset,
         model = ss(model)] { return encoders->encoder(*workspace, model, dataset.get()); },
        [this](Result<std::shared_ptr<const recipes::Encoder>>&& encoder) {
            if (!encoder) {
                messages()->show(MessageBar::Kind::Warning, sentence(encoder.error()));
                return;
            }
            m_encoder = *encoder;
            m_model->setEncoder(m_encoder);
            showChosenRow();
        });
}

void DataPlace::showChosenRow()
{
    const store::DatasetRow* row = m_model->rowAt(m_table->currentIndex().row());
    if (!row) {
        if (!m_view->editing())
            m_view->showNothing();
        return;
    }
    if (!m_encoder) {
        m_view->show(*row, {});
        return;
    }
    m_session.later(
        this,
        [encoder = m_encoder, row = *row] {
            return std::pair{row, seenRow(*encoder, row.example)};
        },
        [this](std::pair<store::DatasetRow, SeenRow>&& result) {
            const store::DatasetRow* now = m_model->rowAt(m_table->currentIndex().row());
            if (now && now->id == result.first.id && !m_view->editing())
                m_view->show(result.first, result.second);
        });
}

} // namespace fettle::ui
