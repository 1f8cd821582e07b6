#include "ui/evaluate/evaluate_place.h"

#include "ui/settings/preferences.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QListWidget>
#include <QSplitter>
#include <QTableWidget>
#include <algorithm>

namespace fettle::ui {

EvaluatePlace::EvaluatePlace(Session& session, QWidget* parent)
    : Place(session, "evaluate", tr("Evaluate"), parent)
{
    createLayout();
    for (auto signal : {&Session::runsChanged, &Session::modelsChanged, &Session::datasetsChanged})
        connect(&m_session, signal, this, &EvaluatePlace::refresh);
    connect(m_start, &QPushButton::clicked, this, &EvaluatePlace::start);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        m_queue.clear();
        if (m_job)
            m_job->requestStop();
    });
    refresh();
}

void EvaluatePlace::createLayout()
{
    auto* empty = new EmptyState("task-complete", tr("Scores on your test rows will be here"),
                                 tr("A model and examples with test rows are needed first."));
    auto* toData = primaryButton(tr("Choose examples"), "evalToDataButton");
    empty->setButton(toData);
    connect(toData, &QPushButton::clicked, this, [this] { m_session.go("data"); });
    m_data = new QComboBox(this);
    m_data->setObjectName("evalDataCombo");
    m_data->setAccessibleName(tr("Test rows of"));
    m_data->setMinimumContentsLength(22);
    m_dataLabel = new Text(tr("Test rows"), TextRole::Body, Ink::Second, this);
    addTool(m_dataLabel);
    addTool(m_data);
    auto* full = new QWidget;
    auto* box = new QVBoxLayout(full);
    box->setContentsMargins(0, 0, 0, 0);
    auto* splitter = new QSplitter(Qt::Horizontal);
    splitter->setObjectName("evalSplitter");
    splitter->setChildrenCollapsible(false);
    m_models = new QListWidget;
    m_models->setObjectName("evalModelList");
    m_models->setAccessibleName(tr("Models to score"));
    m_models->setMinimumWidth(Theme::instance().px(220));
    splitter->addWidget(m_models);
    m_table = new QTableWidget(0, 5);
    m_table->setObjectName("evalScoresTab");
    m_table->setAccessibleName(tr("Scores"));
    m_table->setHorizontalHeaderLabels(
        {tr("Score"), tr("Model"), tr("Value"), tr("Range over rows (95 %)"), tr("Rows")});
    m_table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_table->horizontalHeader()->setStretchLastSection(true);
    m_table->verticalHeader()->hide();
    m_table->setShowGrid(false);
    m_table->setTabKeyNavigation(false);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    auto* work = new QWidget;
    auto* column = new QVBoxLayout(work);
    column->setContentsMargins(8, 0, 0, 0);
    m_note = new Text(
        tr("Tick models at the left and press Evaluate. The answers are written on this computer."),
        TextRole::Body, Ink::Second);
    m_note->setWordWrap(true);
    column->addWidget(m_note);
    column->addWidget(m_table, 1);
    splitter->addWidget(work);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({260, 780});
    Preferences::instance().keep(splitter);
    box->addWidget(splitter, 1);
    QHBoxLayout* bottom = addBottomRow(box);
    m_phase = new Text({}, TextRole::Body, Ink::Second);
    m_phase->setObjectName("evalPhaseLabel");
    m_cancel = plainButton(tr("Cancel"), "evalCancelButton");
    m_cancel->hide();
    m_start = primaryButton(tr("Evaluate"), "evalStartButton");
    bottom->addWidget(m_phase, 1);
    bottom->addWidget(m_cancel);
    bottom->addWidget(m_start);
    m_table->hide();
    connect(m_models, &QListWidget::itemChanged, this, &EvaluatePlace::refreshStart);
    setPages(empty, nullptr, full);
}

void EvaluatePlace::activate(const QString&) { refresh(); }

void EvaluatePlace::refresh()
{
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            std::vector<store::RunRecord> usable;
            for (const auto& run : workspace->runs()) {
                if (run.status != store::RunStatus::Running &&
                    !workspace->checkpoints(run.id).empty())
                    usable.push_back(run);
            }
            return std::tuple{workspace->models(), workspace->datasets(), usable};
        },
        [this](auto&& found) {
            auto& [models, datasets, runs] = found;
            QStringList ticked;
            for (int i = 0; i < m_models->count(); ++i) {
                if (m_models->item(i)->checkState() == Qt::Checked)
                    ticked << m_models->item(i)->data(Qt::UserRole).toString();
            }
            const bool first = m_models->count() == 0;
            {
                const QSignalBlocker quiet(m_models);
                m_models->clear();
                const auto add = [&](const QString& words, const QString& id, bool on) {
                    auto* item = new QListWidgetItem(words, m_models);
                    item->setData(Qt::UserRole, id);
                    item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable |
                                   Qt::ItemIsUserCheckable);
                    item->setCheckState(on || ticked.contains(id) ? Qt::Checked : Qt::Unchecked);
                    item->setSizeHint({0, Theme::instance().px(32)});
                };
                for (const auto& model : models)
                    add(tr("Original · %1").arg(qs(model.name)), qs(model.name),
                        first && model.name == models.front().name);
                for (const auto& run : runs)
                    add(tr("Run %1 · %2").arg(count(run.number), qs(run.name)),
                        "run:" + QString::number(run.number), first && run.id == runs.front().id);
            }
            const QString chosen = m_data->currentData().toString();
            m_data->clear();
            for (const auto& record : datasets)
                m_data->addItem(
                    tr("%1: %2 test rows").arg(qs(record.name), count(record.counts.test)),
                    qs(record.name));
            if (const int at = m_data->findData(chosen); at >= 0)
                m_data->setCurrentIndex(at);
            const bool ready = !models.empty() && !datasets.empty();
            setState(ready ? PlaceState::Full : PlaceState::Empty);
            m_data->setVisible(ready);
            m_dataLabel->setVisible(ready);
            refreshStart();
        });
}

void EvaluatePlace::refreshStart()
{
    int ticked = 0;
    for (int i = 0; i < m_models->count(); ++i)
        ticked += m_models->item(i)->checkState() == Qt::Checked;
    m_start->setEnabled(!m_job && ticked > 0 && m_data->count() > 0);
    m_cancel->setVisible(m_job != nullptr);
}

void EvaluatePlace::start()
{
    m_queue.clear();
    m_scored.clear();
    for (int i = 0; i < m_models->count(); ++i) {
        if (m_models->item(i)->checkState() == Qt::Checked)
            m_queue << m_models->item(i)->data(Qt::UserRole).toString();
    }
    next();
}

void EvaluatePlace::next()
{
    if (m_queue.isEmpty()) {
        m_phase->setText(m_scored.empty() ? QString() : tr("Done."));
        refreshStart();
        return;
    }
    m_now = m_queue.takeFirst();
    for (int i = 0; i < m_models->count(); ++i) {
        if (m_models->item(i)->data(Qt::UserRole).toString() == m_now)
            m_scored.push_back({m_models->item(i)->text(), {}});
    }
    recipes::EvaluatePlan plan;
    plan.model = ss(m_now);
    plan.dataset = ss(m_data->currentData().toString());
    const QString words = m_scored.back().words;
    m_phase->setText(m_session.isTraining() ? tr("Waits until the run has ended") : words);
    m_job = m_session.submit(recipes::makeEvaluateJob(m_session.workspace(), plan));
    connect(m_job, &JobBridge::happened, this, [this, words](const jobs::Event& event) {
        if (const auto* phase = std::get_if<jobs::PhaseChanged>(&event)) {
            QString line = words + ": " + qs(phase->phase);
            if (phase->fraction >= 0)
                line += QStringLiteral(", %1 %").arg(qRound(phase->fraction * 100));
            m_phase->setText(line);
        }
    });
    connect(m_job, &JobBridge::ended, this, &EvaluatePlace::ended);
    refreshStart();
}

void EvaluatePlace::ended(const jobs::Event& end)
{
    m_job = nullptr;
    if (const auto* finished = std::get_if<jobs::Finished>(&end)) {
        m_scored.back().result = finished->result;
        showScores();
    } else if (const auto* failed = std::get_if<jobs::Failed>(&end)) {
        m_scored.pop_back();
        m_queue.clear();
        messages()->show(MessageBar::Kind::Error, sentence(failed->error));
    } else {
        m_scored.pop_back();
        m_queue.clear();
        messages()->show(MessageBar::Kind::Information, tr("Cancelled."));
    }
    next();
    Q_EMIT news();
}

void EvaluatePlace::showScores()
{
    m_table->show();
    m_table->setRowCount(0);
    // Scores of the same kind stand under each other, so that models can be compared line by line.
    QStringList order;
    for (const Scored& scored : m_scored) {
        for (const Json& score : scored.result.value("scores", Json::array())) {
            const QString id = qs(score.value("id", std::string()));
            if (!order.contains(id))
                order << id;
        }
    }
    for (const QString& id : order) {
        for (const Scored& scored : m_scored) {
            for (const Json& score : scored.result.value("scores", Json::array())) {
                if (qs(score.value("id", std::string())) != id)
                    continue;
                const auto value = [&](const char* key) {
                    return score.contains(key) && score[key].is_number()
                               ? number(score[key].get<double>())
                               : tr("undefined");
                };
                const int row = m_table->rowCount();
                m_table->insertRow(row);
                const QString cells[] = {qs(score.value("title", ss(id))), scored.words,
                                         value("value"),
                                         tr("%1 to %2").arg(value("low"), value("high")),
                                         count(score.value("rows", std::int64_t{0}))};
                for (int i = 0; i < 5; ++i) {
                    auto* item = new QTableWidgetItem(cells[i]);
                    item->setToolTip(qs(score.value("method", std::string())));
                    m_table->setItem(row, i, item);
                }
            }
        }
    }
    m_table->resizeColumnsToContents();
    m_note->setText(tr("Test rows were not learned from. Look at them only when the choice is "
                       "made: each look makes the "
                       "score a little kinder than the truth."));
}

} // namespace fettle::ui
