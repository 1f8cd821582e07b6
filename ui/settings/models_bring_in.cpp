// How models come in and go: files, folders, add-ons, downloads; and their removal.
#include "model/import/adapter.h"
#include "ui/settings/models_page.h"
#include "ui/text/words.h"
#include "ui/widgets/ask.h"
#include "ui/widgets/message_bar.h"

#include <QDir>
#include <QFileInfo>
#include <QPushButton>
#include <algorithm>

namespace fettle::ui {

bool ModelsPage::looksLikeModel(const QString& path)
{
    const QFileInfo info(path);
    if (info.isDir())
        return QFileInfo::exists(QDir(path).filePath("config.json")) || model::isAdapter(ss(path));
    return info.suffix().compare("gguf", Qt::CaseInsensitive) == 0;
}

void ModelsPage::askFile()
{
    ask::files(this, tr("Choose a model file"), tr("Models (*.gguf);;All files (*)"),
               [this](const QStringList& files) {
                   if (!files.isEmpty())
                       importModel(files.first());
               });
}

void ModelsPage::askFolder()
{
    ask::folder(this, tr("Choose a model folder"), [this](const QString& folder) {
        if (!folder.isEmpty())
            importModel(folder);
    });
}

void ModelsPage::askRemove()
{
    const auto* model = current();
    if (!model)
        return;
    ask::choice(
        this, tr("Remove %1?").arg(qs(model->name)),
        tr("Its folder in the workspace is deleted and %1 are free again. Runs that were made from "
           "it cannot be tried any more.")
            .arg(bytesText(model->bytes)),
        {tr("Remove"), tr("Keep it")},
        [this, name = model->name, bytes = model->bytes](int answer) {
            if (answer != 0)
                return;
            m_session.later(
                this, [w = m_session.workspace(), name] { return w->removeModel(name); },
                [this, name, bytes](Result<void>&& done) {
                    if (!done)
                        m_messages->show(MessageBar::Kind::Error, sentence(done.error()));
                    else
                        m_messages->show(MessageBar::Kind::Good,
                                         tr("%1 is removed; %2 are free again.")
                                             .arg(qs(name), bytesText(bytes)));
                    Q_EMIT m_session.modelsChanged();
                });
        });
}

void ModelsPage::importModel(const QString& path)
{
    if (m_job) {
        m_messages->show(MessageBar::Kind::Information,
                         tr("One model is being read; add the next one after it."));
        return;
    }
    const QFileInfo info(path);
    const QString name = freeName(info.isDir() ? QDir(path).dirName() : info.completeBaseName());
    if (info.isDir() && model::isAdapter(ss(path))) {
        importAdapter(path, name);
        return;
    }
    follow(m_session.submit(recipes::makeModelImportJob(m_session.workspace(), ss(path), ss(name))),
           name);
}

/// The name, or the next of its kind that no model has.
QString ModelsPage::freeName(const QString& name) const
{
    const auto taken = [this](const QString& candidate) {
        return std::ranges::any_of(m_models,
                                   [&](const auto& model) { return qs(model.name) == candidate; });
    };
    QString free = name;
    for (int i = 2; taken(free); ++i)
        free = QStringLiteral("%1-%2").arg(name).arg(i);
    return free;
}

/// An add-on is nothing alone: it is worked into a copy of the chosen model.
void ModelsPage::importAdapter(const QString& path, const QString& name)
{
    const auto* base = current();
    if (!base) {
        m_messages->show(
            MessageBar::Kind::Warning,
            tr("%1 is an add-on (PEFT). Add the model that it was made for first, then "
               "drop it again.")
                .arg(name));
        return;
    }
    ask::choice(this, tr("Work %1 into a model?").arg(name),
                tr("It is an add-on (PEFT). It is worked into a copy of %1, the model that is "
                   "chosen in the list; the original stays as it is.")
                    .arg(qs(base->name)),
                {tr("Make the copy"), tr("Cancel")},
                [this, path, name, base = base->name](int answer) {
                    if (answer == 0 && !m_job)
                        follow(m_session.submit(recipes::makeModelImportJob(
                                   m_session.workspace(), ss(path), ss(name), base)),
                               name);
                });
}

void ModelsPage::askName()
{
    if (!m_session.networkOn()) {
        m_messages->show(MessageBar::Kind::Information,
                         tr("The network is switched off, so nothing is fetched."),
                         tr("Open Privacy"), [this] { m_session.go("settings", "privacy"); });
        return;
    }
    ask::line(this, tr("Download a model"), tr("Name on the hub, such as owner/name"), {},
              [this](const QString& answer) {
                  const QString name = answer.trimmed();
                  if (name.isEmpty() || m_job)
                      return;
                  follow(m_session.submit(
                             recipes::makeDownloadJob(m_session.workspace(), {ss(name), {}, {}})),
                         name.section('/', -1).section('@', 0, 0));
              });
}

/// Shows how a job that brings in a model goes on, and what became of it.
void ModelsPage::follow(JobBridge* job, const QString& name)
{
    for (QWidget* way :
         {m_drop, static_cast<QWidget*>(m_folder), static_cast<QWidget*>(m_download)})
        way->setEnabled(false);
    m_cancel->show();
    m_phase->setText(tr("Reading %1 …").arg(name));
    m_job = job;
    connect(m_job, &JobBridge::happened, this, [this](const jobs::Event& event) {
        if (const auto* phase = std::get_if<jobs::PhaseChanged>(&event))
            m_phase->setText(qs(phase->phase) +
                             (phase->detail.empty() ? QString() : ": " + qs(phase->detail)));
    });
    connect(m_job, &JobBridge::ended, this, [this, name](const jobs::Event& end) {
        m_job = nullptr;
        for (QWidget* way :
             {m_drop, static_cast<QWidget*>(m_folder), static_cast<QWidget*>(m_download)})
            way->setEnabled(true);
        m_cancel->hide();
        m_phase->setText({});
        if (const auto* failed = std::get_if<jobs::Failed>(&end))
            m_messages->show(MessageBar::Kind::Error, sentence(failed->error));
        else if (std::holds_alternative<jobs::Stopped>(end))
            m_messages->show(MessageBar::Kind::Information,
                             tr("Cancelled; nothing half-written stays."));
        else if (std::holds_alternative<jobs::Finished>(end))
            m_messages->show(MessageBar::Kind::Good, tr("%1 is ready.").arg(name),
                             tr("Make a plan"), [this] { m_session.go("plan"); });
        m_wanted = name;
        Q_EMIT m_session.modelsChanged();
    });
}

} // namespace fettle::ui
