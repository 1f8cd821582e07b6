#include "ui/deploy/deploy_place.h"

#include "model/import/model_config.h"
#include "recipes/export_size.h"
#include "recipes/memory.h"
#include "ui/deploy/export_words.h"
#include "ui/text/words.h"
#include "ui/widgets/ask.h"

#include <QComboBox>
#include <QDesktopServices>
#include <QDir>
#include <QUrl>
#include <algorithm>

namespace fettle::ui {

DeployPlace::DeployPlace(Session& session, QWidget* parent)
    : Place(session, "deploy", tr("Deploy"), parent)
{
    createLayout();
    connectSignals();
    refreshSources();
}

void DeployPlace::connectSignals()
{
    connect(m_source, &QComboBox::activated, this, [this] {
        m_kept = m_source->currentData().toString();
        sourceChanged();
    });
    connect(m_type, &QComboBox::activated, this, [this] {
        m_types[m_form] = m_type->currentData().toString();
        refreshTiles();
    });
    connect(m_write, &QPushButton::clicked, this, &DeployPlace::askFolder);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        if (m_job)
            m_job->requestStop();
    });
    connect(m_open, &QPushButton::clicked, this, [this] {
        if (!QDesktopServices::openUrl(QUrl::fromLocalFile(m_folder)))
            messages()->show(MessageBar::Kind::Information, tr("The folder is %1.").arg(m_folder));
    });
    connect(&m_session, &Session::runsChanged, this, &DeployPlace::refreshSources);
    connect(&m_session, &Session::modelsChanged, this, &DeployPlace::refreshSources);
}

void DeployPlace::activate(const QString& argument)
{
    if (!argument.isEmpty())
        m_wanted = argument.contains(':') ? argument : "run:" + argument;
    refreshSources();
}

void DeployPlace::refreshSources()
{
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            std::vector<Source> sources;
            for (const auto& run : workspace->runs()) {
                if (!workspace->checkpoints(run.id).empty() &&
                    run.status != store::RunStatus::Running)
                    sources.push_back({"run:" + run.id,
                                       tr("Run %1 · %2").arg(count(run.number), qs(run.name)),
                                       run.model, run});
            }
            for (const auto& model : workspace->models())
                sources.push_back({"model:" + model.name, tr("Original · %1").arg(qs(model.name)),
                                   model.name, std::nullopt});
            return sources;
        },
        [this](std::vector<Source>&& sources) {
            const QString before = m_source->currentData().toString();
            m_sources = std::move(sources);
            m_source->clear();
            for (const auto& each : m_sources)
                m_source->addItem(each.title, qs(each.what));
            if (!m_wanted.isEmpty())
                m_kept = m_wanted;
            if (const int at = m_source->findData(m_kept); at >= 0)
                m_source->setCurrentIndex(at);
            m_wanted.clear();
            setState(m_sources.empty() ? PlaceState::Empty : PlaceState::Full);
            m_source->setVisible(!m_sources.empty());
            if (m_source->currentData().toString() != before)
                sourceChanged();
            else
                refreshTiles();
        });
}

const DeployPlace::Source* DeployPlace::source() const
{
    const int at = m_source->currentIndex();
    return at >= 0 && at < static_cast<int>(m_sources.size())
               ? &m_sources[static_cast<std::size_t>(at)]
               : nullptr;
}

const DeployPlace::Tile* DeployPlace::chosenTile() const
{
    const auto found =
        std::ranges::find(m_tiles, m_form, [](const Tile& tile) { return tile.form.id; });
    return found == m_tiles.end() ? nullptr : &*found;
}

QString DeployPlace::typeOf(const Tile& tile) const
{
    const auto found = m_types.find(tile.form.id);
    return found == m_types.end() ? qs(tile.form.types.front()) : found->second;
}

void DeployPlace::sourceChanged()
{
    m_proof->hide();
    m_open->setEnabled(false);
    m_sizes.clear();
    const Source* chosen = source();
    if (!chosen)
        return;
    setSubtitle(chosen->run && chosen->run->bestStep > 0
                    ? tr("save point of step %1 (best)").arg(count(chosen->run->bestStep))
                    : QString());
    formChosen();
    m_session.later(
        this,
        [workspace = m_session.workspace(), from = *chosen] {
            std::map<std::string, std::map<std::string, std::uint64_t>> sizes;
            const auto record = workspace->model(from.model);
            const auto config = record ? model::readModelConfig(record->folder)
                                       : Result<model::ModelConfig>(record.error());
            if (!config)
                return std::pair{from.what, sizes};
            ParamValues settings(recipes::trainingSettings());
            const bool known = from.run && settings.setAll(Json(from.run->settings));
            const auto trainable = known ? recipes::trainableParameters(*config, settings) : 0;
            for (const auto& form : recipes::exportFormInfos()) {
                for (const auto& type : form.types)
                    sizes[form.id][type] =
                        recipes::estimatedExportBytes(*config, form.id, type, trainable);
            }
            return std::pair{from.what, sizes};
        },
        [this](auto&& found) {
            if (!source() || source()->what != found.first)
                return;
            m_sizes = std::move(found.second);
            refreshTiles();
        });
}

/// The numbers that the chosen form offers.
void DeployPlace::formChosen()
{
    const Tile* tile = chosenTile();
    if (!tile)
        return;
    m_type->clear();
    for (const std::string& type : tile->form.types)
        m_type->addItem(wordsOf(qs(type)).name, qs(type));
    m_type->setCurrentIndex(m_type->findData(typeOf(*tile)));
    m_numbers->setVisible(tile->form.types.size() > 1);
    refreshTiles();
}

void DeployPlace::refreshTiles()
{
    const Source* chosen = source();
    if (!chosen)
        return;
    const bool addOn =
        chosen->run && Json(chosen->run->settings).value("method", std::string("lora")) != "full";
    bool chosenFits = false;
    for (const Tile& tile : m_tiles) {
        const QString type = typeOf(tile);
        const std::uint64_t bytes = m_sizes[tile.form.id][ss(type)];
        const bool possible =
            (!tile.form.needsAdapter || addOn) && (chosen->run || tile.form.ofModels);
        const bool unknown = m_sizes[tile.form.id].empty();
        const bool writable = possible && (unknown || bytes > 0);
        tile.button->setEnabled(writable);
        tile.size->setText(writable && bytes > 0 ? tr("≈ %1").arg(bytesText(bytes))
                                                 : QStringLiteral(" "));
        tile.note->setText(
            !possible   ? chosen->run ? tr("This run changed the whole model; take the folder.")
                                      : tr("An original has no add-on.")
              : !writable ? tr("Other programs cannot read this family in such a file.")
                        : tr("%1 · estimated").arg(wordsOf(type).loss));
        chosenFits = chosenFits || (writable && tile.form.id == m_form);
    }
    if (!chosenFits && m_form != "merged") {
        m_form = "merged";
        formChosen();
        return;
    }
    if (const Tile* tile = chosenTile()) {
        tile->button->setChecked(true);
        m_typeNote->setText(wordsOf(typeOf(*tile)).loss);
    }
}

void DeployPlace::askFolder()
{
    if (!source())
        return;
    ask::folder(this, tr("Where shall it be written?"), [this](const QString& chosen) {
        if (chosen.isEmpty() || !source())
            return;
        // A folder that holds something gets a new one inside it: nothing of the person's is mixed
        // up.
        QString folder = chosen;
        if (QDir(folder).exists() && !QDir(folder).isEmpty()) {
            const QString of = source()->run ? qs(source()->run->id) : qs(source()->model);
            const QString name = of + (m_form == "peft" ? "-addon" : "-" + qs(m_form));
            folder = QDir(chosen).filePath(name);
            for (int i = 2; QDir(folder).exists() && !QDir(folder).isEmpty(); ++i)
                folder = QDir(chosen).filePath(QStringLiteral("%1-%2").arg(name).arg(i));
        }
        write(folder);
    });
}

void DeployPlace::write(const QString& folder)
{
    const Tile* tile = chosenTile();
    if (!tile)
        return;
    m_folder = folder;
    m_proof->hide();
    m_write->setEnabled(false);
    m_phase->setText(m_session.isTraining() ? tr("Waiting until the run has ended …")
                                            : tr("Writing …"));
    m_progress->show();
    recipes::ExportPlan plan;
    plan.what = source()->what;
    plan.form = tile->form.id;
    plan.folder = ss(folder);
    plan.type = ss(typeOf(*tile));
    m_job = m_session.submit(recipes::makeExportJob(m_session.workspace(), plan));
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
    const bool states = proof.contains("largestStateDifference"); // of an encoder
    lines << tr("Largest difference of a score: %1; not from rounding: %2, limit %3 (measured).")
                 .arg(value(states ? "largestStateDifference" : "largestLogitDifference"),
                      value(states ? "unexplainedStateDifference" : "unexplainedLogitDifference"),
                      value("limit"));
    if (proof.contains("weights") && proof["weights"].is_number() &&
        proof["weights"].get<int>() > 0)
        lines << tr("%1 weights were read back and compared with those in memory.")
                     .arg(count(proof["weights"].get<std::int64_t>()));
    if (!states)
        lines << tr("Surprise: %1 before, %2 after (measured).")
                     .arg(value("perplexityBefore"), value("perplexityAfter"));
    m_proofLines->setText(lines.join('\n'));
    m_proof->show();
}

} // namespace fettle::ui
