#include "ui/compare/compare_place.h"

#include "ui/plots/plot_view.h"
#include "ui/runs/run_list.h"
#include "ui/settings/preferences.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"
#include "ui/widgets/spec_form.h"

#include <QHeaderView>
#include <QListWidget>
#include <QSplitter>
#include <QTabWidget>
#include <QTableWidget>
#include <QVBoxLayout>

namespace fettle::ui {

namespace {

QTableWidget* table(const QString& name, const QString& words)
{
    auto* t = new QTableWidget;
    t->setObjectName(name);
    t->setAccessibleName(words);
    t->verticalHeader()->hide();
    t->setShowGrid(false);
    t->setTabKeyNavigation(false);
    t->setEditTriggers(QAbstractItemView::NoEditTriggers);
    t->setSelectionBehavior(QAbstractItemView::SelectRows);
    t->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    t->horizontalHeader()->setStretchLastSection(true);
    return t;
}

QString runName(const RunDetails& run)
{
    return ComparePlace::tr("Run %1").arg(count(run.record.number));
}

} // namespace

ComparePlace::ComparePlace(Session& session, QWidget* parent)
    : Place(session, "compare", tr("Compare"), parent)
{
    createLayout();
    connect(&m_session, &Session::runsChanged, this, &ComparePlace::refreshList);
    refreshList();
}

void ComparePlace::createLayout()
{
    auto* empty = new EmptyState("view-split-left-right", tr("Two runs are needed to compare"),
                                 tr("Tick runs here and see their curves over each other, and the "
                                    "settings in which they differ."));
    auto* toPlan = primaryButton(tr("Make a plan"), "compareToPlanButton");
    empty->setButton(toPlan);
    connect(toPlan, &QPushButton::clicked, this, [this] { m_session.go("plan"); });
    auto* splitter = new QSplitter(Qt::Horizontal);
    splitter->setObjectName("compareSplitter");
    splitter->setChildrenCollapsible(false);
    m_list = new QListWidget;
    m_list->setObjectName("compareRunList");
    m_list->setAccessibleName(tr("Runs to compare"));
    m_list->setMinimumWidth(Theme::instance().px(200));
    splitter->addWidget(m_list);
    auto* work = new QWidget;
    auto* box = new QVBoxLayout(work);
    box->setContentsMargins(8, 0, 0, 0);
    m_hint = new Text({}, TextRole::Body, Ink::Second);
    m_hint->setWordWrap(true);
    box->addWidget(m_hint);
    m_tabs = new QTabWidget;
    m_tabs->setObjectName("compareTabs");
    m_tabs->setDocumentMode(true);
    m_plot = new PlotView("compareCurvePlot", tr("loss"), tr("nats per piece"));
    m_plot->setOrigin(m_session.title());
    auto* page = new QWidget;
    auto* pad = new QVBoxLayout(page);
    pad->setContentsMargins(0, 10, 0, 0);
    pad->addWidget(m_plot);
    m_tabs->addTab(page, tr("Curves"));
    m_settings = table("compareSettingsTab", tr("Settings in which the runs differ"));
    m_tabs->addTab(m_settings, tr("Settings"));
    m_losses = table("compareLossTable", tr("Best loss of each run"));
    m_tabs->addTab(m_losses, tr("Checking rows"));
    box->addWidget(m_tabs, 1);
    splitter->addWidget(work);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({240, 800});
    Preferences::instance().keep(splitter);
    connect(m_list, &QListWidget::itemChanged, this, &ComparePlace::load);
    connect(m_plot, &PlotView::problem, this,
            [this](const QString& words) { messages()->show(MessageBar::Kind::Error, words); });
    setPages(empty, nullptr, splitter);
}

void ComparePlace::activate(const QString& argument)
{
    m_wanted = argument.split('\n', Qt::SkipEmptyParts);
    refreshList();
}

void ComparePlace::refreshList()
{
    m_session.later(
        this, [workspace = m_session.workspace()] { return workspace->runs(); },
        [this](std::vector<store::RunRecord>&& runs) {
            QStringList ticked = m_wanted;
            for (int i = 0; i < m_list->count() && m_wanted.size() < 2; ++i) {
                if (m_list->item(i)->checkState() == Qt::Checked)
                    ticked << m_list->item(i)->data(Qt::UserRole).toString();
            }
            if (ticked.size() < 2) {
                for (std::size_t i = 0; i < runs.size() && ticked.size() < 2; ++i)
                    ticked << qs(runs[i].id);
            }
            {
                const QSignalBlocker quiet(m_list);
                m_list->clear();
                for (const auto& run : runs) {
                    auto* item = new QListWidgetItem(runTitle(run), m_list);
                    item->setData(Qt::UserRole, qs(run.id));
                    item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable |
                                   Qt::ItemIsUserCheckable);
                    item->setCheckState(ticked.contains(qs(run.id)) ? Qt::Checked : Qt::Unchecked);
                    item->setToolTip(runLine(run));
                    item->setSizeHint({0, Theme::instance().px(32)});
                }
            }
            m_wanted.clear();
            setState(runs.size() < 2 ? PlaceState::Empty : PlaceState::Full);
            load();
        });
}

void ComparePlace::load()
{
    QStringList ids;
    for (int i = 0; i < m_list->count() && ids.size() < 10; ++i) {
        if (m_list->item(i)->checkState() == Qt::Checked)
            ids << m_list->item(i)->data(Qt::UserRole).toString();
    }
    const int generation = ++m_generation;
    m_session.later(
        this,
        [workspace = m_session.workspace(), ids] {
            std::vector<RunDetails> runs;
            for (const QString& id : ids) {
                if (auto record = workspace->run(ss(id)))
                    runs.push_back(readRun(*workspace, *record, false));
            }
            return runs;
        },
        [this, generation](std::vector<RunDetails>&& runs) {
            if (generation == m_generation)
                show(std::move(runs));
        });
}

void ComparePlace::show(std::vector<RunDetails>&& runs)
{
    m_hint->setText(runs.size() < 2 ? tr("Tick two runs or more on the left.") : QString());
    m_hint->setVisible(runs.size() < 2);
    std::vector<Curve> curves;
    for (const RunDetails& run : runs) {
        Curve curve;
        curve.id = qs(run.record.id);
        curve.name = runName(run);
        curve.colour = run.record.colour;
        curve.raw = run.loss;
        curve.checks = run.checks;
        curves.push_back(std::move(curve));
    }
    m_plot->setCurves(std::move(curves));
    showSettings(runs);
    showLosses(runs);
}

void ComparePlace::showSettings(const std::vector<RunDetails>& runs)
{
    m_settings->clear();
    m_settings->setColumnCount(static_cast<int>(runs.size()) + 1);
    QStringList heads{tr("Setting")};
    for (const RunDetails& run : runs)
        heads << runName(run);
    m_settings->setHorizontalHeaderLabels(heads);
    m_settings->setRowCount(0);
    const auto row = [this](const QString& name, const QStringList& values) {
        if (QSet<QString>(values.begin(), values.end()).size() < 2)
            return;
        const int at = m_settings->rowCount();
        m_settings->insertRow(at);
        m_settings->setItem(at, 0, new QTableWidgetItem(name));
        for (int i = 0; i < values.size(); ++i)
            m_settings->setItem(at, i + 1, new QTableWidgetItem(values[i]));
    };
    QStringList models, examples, seeds;
    std::vector<ParamValues> all;
    for (const RunDetails& run : runs) {
        models << qs(run.record.model);
        examples
            << tr("%1, version %2").arg(qs(run.record.dataset), count(run.record.datasetVersion));
        seeds << QString::number(run.record.seed);
        all.emplace_back(recipes::trainingSettings());
        if (auto done = all.back().setAll(Json(run.record.settings)); !done)
            messages()->show(MessageBar::Kind::Warning, sentence(done.error()));
    }
    row(tr("Original"), models);
    row(tr("Examples"), examples);
    row(tr("Random start"), seeds);
    for (const ParamSpec& spec : recipes::trainingSettings()) {
        QStringList values;
        for (const ParamValues& value : all)
            values << (value.isNeeded(spec) ? specValueText(spec, value.value(spec.key))
                                            : tr("no effect"));
        row(qs(spec.label), values);
    }
    m_settings->resizeColumnsToContents();
    m_tabs->setTabText(1, runs.size() < 2
                              ? tr("Settings")
                              : tr("Settings: %n differ", nullptr, m_settings->rowCount()));
}

void ComparePlace::showLosses(const std::vector<RunDetails>& runs)
{
    m_losses->clear();
    m_losses->setColumnCount(4);
    m_losses->setHorizontalHeaderLabels({tr("Run"), tr("Best loss on checking rows"),
                                         tr("Range over rows (one run)"), tr("At step")});
    m_losses->setRowCount(0);
    for (const RunDetails& run : runs) {
        for (const CheckValue& check : run.checks) {
            if (!check.best)
                continue;
            const int at = m_losses->rowCount();
            m_losses->insertRow(at);
            const QString cells[] = {runTitle(run.record), number(check.at.value, 4),
                                     check.high > check.low
                                         ? tr("%1 to %2").arg(number(check.low), number(check.high))
                                         : tr("one run, no range"),
                                     count(check.at.step)};
            for (int i = 0; i < 4; ++i)
                m_losses->setItem(at, i, new QTableWidgetItem(cells[i]));
        }
    }
    m_losses->resizeColumnsToContents();
}

} // namespace fettle::ui
