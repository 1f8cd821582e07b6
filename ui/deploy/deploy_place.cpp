#include "ui/deploy/deploy_place.h"

#include "ui/text/words.h"
#include "ui/widgets/ask.h"
#include "ui/widgets/empty_state.h"

#include <QComboBox>
#include <QDesktopServices>
#include <QDir>
#include <QHBoxLayout>
#include <QUrl>
#include <algorithm>

namespace fettle::ui {

DeployPlace::DeployPlace(Session& session, QWidget* parent)
    : Place(session, "deploy", tr("Deploy"), parent)
{
    createLayout();
    connectSignals();
    refreshRuns();
}

DeployPlace::Tile DeployPlace::createTile(const QString& name, const QString& iconName,
                                          const QString& title, const QString& line)
{
    Tile tile;
    tile.button = new CardButton;
    tile.button->setObjectName("deployTile_" + name);
    tile.button->setAccessibleName(title);
    tile.button->setAccessibleDescription(line);
    tile.button->setCheckable(true);
    tile.button->setAutoExclusive(true);
    tile.button->setMinimumHeight(Theme::instance().px(190));
    tile.button->setMaximumWidth(Theme::instance().px(420));
    auto* head = new QHBoxLayout;
    head->addWidget(new IconLabel(iconName, 22, Ink::Accent));
    head->addWidget(new Text(title, TextRole::Section), 1);
    tile.button->box()->addLayout(head);
    auto* words = new Text(line, TextRole::Body, Ink::Second);
    words->setWordWrap(true);
    tile.button->box()->addWidget(words);
    tile.button->box()->addStretch(1);
    tile.size = new Text({}, TextRole::Number);
    tile.button->box()->addWidget(tile.size);
    tile.note = new Text({}, TextRole::Small, Ink::Second);
    tile.button->box()->addWidget(tile.note);
    for (QWidget* child : tile.button->findChildren<QWidget*>())
        child->setAttribute(Qt::WA_TransparentForMouseEvents);
    return tile;
}

void DeployPlace::createLayout()
{
    auto* empty = new EmptyState(
        "document-export", tr("A finished run is needed"),
        tr("What you trained leaves here as a folder that other programs open, with a proof that "
           "it answers as it did."));
    auto* toRuns = primaryButton(tr("Go to the runs"), "deployToRunsButton");
    empty->setButton(toRuns);
    connect(toRuns, &QPushButton::clicked, this, [this] { m_session.go("runs"); });
    m_run = new QComboBox(this);
    m_run->setObjectName("deployRunCombo");
    m_run->setAccessibleName(tr("Run to take away"));
    m_run->setMinimumContentsLength(22);
    addTool(m_run);

    auto* content = new QWidget;
    auto* box = new QVBoxLayout(content);
    box->setContentsMargins(0, 4, 4, 0);
    box->setSpacing(Theme::instance().px(16));
    auto* tiles = new QHBoxLayout;
    tiles->setSpacing(Theme::instance().px(16));
    m_adapter = createTile("adapter", "list-add", tr("Add-on"),
                           tr("A small folder that changes the original when both are loaded "
                              "(PEFT). Share it where the "
                              "original is at hand."));
    m_merged = createTile("folder", "folder", tr("Folder"),
                          tr("The whole tuned model as a Hugging Face folder. It works on its own "
                             "in most programs."));
    tiles->addWidget(m_adapter.button, 1);
    tiles->addWidget(m_merged.button, 1);
    tiles->addStretch(0);
    box->addLayout(tiles);
    m_progress = new Card(content, Card::Kind::Sunken);
    auto* line = new QHBoxLayout;
    m_phase = new Text({}, TextRole::Body);
    m_phase->setObjectName("deployPhaseLabel");
    m_cancel = plainButton(tr("Cancel"), "deployCancelButton");
    line->addWidget(m_phase, 1);
    line->addWidget(m_cancel);
    m_progress->box()->addLayout(line);
    m_progress->hide();
    box->addWidget(m_progress);
    m_proof = new Card;
    m_proof->setObjectName("deployProofCard");
    auto* title = new QHBoxLayout;
    m_proofIcon = new IconLabel("data-success", 22, Ink::Good);
    m_proofTitle = new Text({}, TextRole::Section);
    title->addWidget(m_proofIcon);
    title->addWidget(m_proofTitle, 1);
    m_proof->box()->addLayout(title);
    m_proofLines = new Text({}, TextRole::Body, Ink::Text);
    m_proofLines->setObjectName("deployProofText");
    m_proofLines->setWordWrap(true);
    m_proofLines->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_proof->box()->addWidget(m_proofLines);
    m_proof->hide();
    box->addWidget(m_proof);
    box->addStretch(1);
    auto* full = new QWidget;
    auto* page = new QVBoxLayout(full);
    page->setContentsMargins(0, 0, 0, 0);
    page->addWidget(scrolled(content, "deployScroll"), 1);
    QHBoxLayout* bottom = addBottomRow(page);
    m_open = plainButton(tr("Open folder"), "deployOpenFolderButton", "document-open-folder");
    m_open->setEnabled(false);
    m_write = primaryButton(tr("Write"), "deployWriteButton");
    bottom->addStretch(1);
    bottom->addWidget(m_open);
    bottom->addWidget(m_write);
    setPages(empty, nullptr, full);
}

void DeployPlace::connectSignals()
{
    connect(m_run, &QComboBox::activated, this, &DeployPlace::runChanged);
    connect(m_adapter.button, &QAbstractButton::clicked, this, [this] { m_kind = "peft"; });
    connect(m_merged.button, &QAbstractButton::clicked, this, [this] { m_kind = "merged"; });
    connect(m_write, &QPushButton::clicked, this, &DeployPlace::askFolder);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        if (m_job)
            m_job->requestStop();
    });
    connect(m_open, &QPushButton::clicked, this, [this] {
        if (!QDesktopServices::openUrl(QUrl::fromLocalFile(m_folder)))
            messages()->show(MessageBar::Kind::Information, tr("The folder is %1.").arg(m_folder));
    });
    connect(&m_session, &Session::runsChanged, this, &DeployPlace::refreshRuns);
}

void DeployPlace::activate(const QString& argument)
{
    if (!argument.isEmpty())
        m_wanted = argument;
    refreshRuns();
}

void DeployPlace::refreshRuns()
{
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            std::vector<store::RunRecord> usable;
            for (const auto& run : workspace->runs()) {
                if (!workspace->checkpoints(run.id).empty() &&
                    run.status != store::RunStatus::Running)
                    usable.push_back(run);
            }
            return std::pair{usable, workspace->models()};
        },
        [this](auto&& found) {
            const QString before = m_run->currentData().toString();
            m_runs = std::move(found.first);
            m_models = std::move(found.second);
            m_run->clear();
            for (const auto& run : m_runs)
                m_run->addItem(tr("Run %1 · %2").arg(count(run.number), qs(run.name)), qs(run.id));
            const QString wanted = m_wanted.isEmpty() ? before : m_wanted;
            if (const int at = m_run->findData(wanted); at >= 0)
                m_run->setCurrentIndex(at);
            m_wanted.clear();
            setState(m_runs.empty() ? PlaceState::Empty : PlaceState::Full);
            m_run->setVisible(!m_runs.empty());
            if (m_run->currentData().toString() != before)
                runChanged();
            else
                refreshTiles();
        });
}

const store::RunRecord* DeployPlace::run() const
{
    const int at = m_run->currentIndex();
    return at >= 0 && at < static_cast<int>(m_runs.size()) ? &m_runs[static_cast<std::size_t>(at)]
                                                           : nullptr;
}

void DeployPlace::runChanged()
{
    m_proof->hide();
    m_open->setEnabled(false);
    m_sizes.clear();
    refreshTiles();
    const store::RunRecord* chosen = run();
    if (!chosen)
        return;
    setSubtitle(chosen->bestStep > 0
                    ? tr("save point of step %1 (best)").arg(count(chosen->bestStep))
                    : QString());
    recipes::RunPlan plan;
    plan.model = chosen->model;
    plan.dataset = chosen->dataset;
    if (!plan.settings.setAll(Json(chosen->settings)))
        return;
    m_session.later(
        this,
        [workspace = m_session.workspace(), plan] { return recipes::forecast(*workspace, plan); },
        [this, id = chosen->id](Result<recipes::Forecast>&& forecast) {
            if (!forecast || !run() || run()->id != id)
                return;
            m_sizes["adapter"] = static_cast<std::uint64_t>(forecast->trainableParameters) * 4;
            refreshTiles();
        });
}

void DeployPlace::refreshTiles()
{
    const store::RunRecord* chosen = run();
    if (!chosen)
        return;
    const std::string method = Json(chosen->settings).value("method", std::string("lora"));
    const bool addOn = method != "full";
    m_adapter.button->setEnabled(addOn);
    m_adapter.note->setText(addOn ? tr("no loss · estimated")
                                  : tr("This run changed the whole model; take the folder."));
    m_adapter.size->setText(addOn && m_sizes.contains("adapter")
                                ? tr("≈ %1").arg(bytesText(m_sizes["adapter"]))
                                : QStringLiteral(" "));
    for (const auto& model : m_models) {
        if (model.name == chosen->model)
            m_merged.size->setText(
                tr("≈ %1").arg(bytesText(static_cast<std::uint64_t>(model.parameters) * 4)));
    }
    m_merged.note->setText(tr("no loss · 32-bit numbers · estimated"));
    if (!addOn)
        m_kind = "merged";
    (m_kind == "peft" ? m_adapter : m_merged).button->setChecked(true);
}

void DeployPlace::askFolder()
{
    if (!run())
        return;
    ask::folder(this, tr("Where shall it be written?"), [this](const QString& chosen) {
        if (chosen.isEmpty())
            return;
        // A folder that holds something gets a new one inside it: nothing of the person's is mixed
        // up.
        QString folder = chosen;
        if (QDir(folder).exists() && !QDir(folder).isEmpty()) {
            const QString name = qs(run()->id) + (m_kind == "peft" ? "-addon" : "-model");
            folder = QDir(chosen).filePath(name);
            for (int i = 2; QDir(folder).exists() && !QDir(folder).isEmpty(); ++i)
                folder = QDir(chosen).filePath(QStringLiteral("%1-%2").arg(name).arg(i));
        }
        write(folder);
    });
}

void DeployPlace::write(const QString& folder)
{
    m_folder = folder;
    m_proof->hide();
    m_write->setEnabled(false);
    m_phase->setText(m_session.isTraining() ? tr("Waiting until the run has ended …")
                                            : tr("Writing …"));
    m_progress->show();
    m_job = m_session.submit(
        recipes::makeExportJob(m_session.workspace(), {"run:" + run()->id, ss(m_kind), ss(folder)}));
    connect(m_job, &JobBridge::happened, this, [this](const jobs::Event& event) {
        if (const auto* phase = std::get_if<jobs::PhaseChanged>(&event))
            m_phase->setText(qs(phase->phase) +
                             (phase->detail.empty() ? QString() : ": " + qs(phase->detail)));
    });
    connect(m_job, &JobBridge::ended, this, &DeployPlace::ended);
}

void DeployPlace::ended(const jobs::Event& end)
{
    m_job = nullptr;
    m_progress->hide();
    m_write->setEnabled(true);
    if (const auto* failed = std::get_if<jobs::Failed>(&end)) {
        messages()->show(MessageBar::Kind::Error, sentence(failed->error));
    } else if (std::holds_alternative<jobs::Stopped>(end)) {
        messages()->show(MessageBar::Kind::Information,
                         tr("Cancelled; nothing half-written stays."));
    } else if (const auto* finished = std::get_if<jobs::Finished>(&end)) {
        showProof(finished->result);
        m_open->setEnabled(true);
    }
    Q_EMIT news();
}

void DeployPlace::showProof(const Json& result)
{
    const Json proof = result.value("proof", Json::object());
    const bool passed = proof.value("passed", true);
    m_proofIcon->setIcon(passed ? "data-success" : "data-error", passed ? Ink::Good : Ink::Error);
    m_proofTitle->setText(passed ? tr("Proof passed: it answers as the trained model did")
                                 : tr("Proof failed: the written model answers differently"));
    QStringList lines;
    lines << tr("Written to %1, %2.")
                 .arg(m_folder, bytesText(result.value("bytes", std::uint64_t{0})));
    const auto value = [&proof](const char* key) {
        return proof.contains(key) && proof[key].is_number() ? number(proof[key].get<double>())
                                                             : tr("unknown");
    };
    if (proof.contains("texts") && proof["texts"].is_number())
        lines << tr("%n text(s) were read by the files as they are on disk.", nullptr,
                    proof["texts"].get<int>());
    lines << tr("Largest difference of a score: %1, limit %2 (measured).")
                 .arg(value("largestLogitDifference"), value("limit"));
    lines << tr("Surprise: %1 before, %2 after (measured).")
                 .arg(value("perplexityBefore"), value("perplexityAfter"));
    m_proofLines->setText(lines.join('\n'));
    m_proof->show();
}

} // namespace fettle::ui
