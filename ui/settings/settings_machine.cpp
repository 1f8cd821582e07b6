// The pages of the settings about this machine, its models, and the program itself.
#include "ui/settings/settings_place.h"
#include "ui/text/words.h"
#include "ui/widgets/ask.h"

#include <QFileInfo>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QTableWidget>
#include <QTextBrowser>

namespace fettle::ui {

namespace {

QVBoxLayout* machineBox(QWidget* page, const QString& title, const QString& line)
{
    auto* box = new QVBoxLayout(page);
    box->setContentsMargins(16, 0, 8, 8);
    box->setSpacing(Theme::instance().px(12));
    box->addWidget(new Text(title, TextRole::Section));
    auto* words = new Text(line, TextRole::Body, Ink::Second);
    words->setWordWrap(true);
    box->addWidget(words);
    return box;
}

} // namespace

QWidget* SettingsPlace::createDevices()
{
    auto* page = new QWidget;
    QVBoxLayout* box =
        machineBox(page, tr("Devices"), tr("What was found on this computer and what is used."));
    auto* card = new Card;
    card->setMaximumWidth(Theme::instance().px(760));
    m_devices = new QWidget;
    m_devices->setObjectName("settingsDevicesTable");
    auto* grid = new QGridLayout(m_devices);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(Theme::instance().px(24));
    grid->setVerticalSpacing(Theme::instance().px(8));
    grid->setColumnStretch(1, 1);
    card->box()->addWidget(m_devices);
    auto* again = plainButton(tr("Look again"), "settingsDevicesButton", "view-refresh");
    card->box()->addWidget(again, 0, Qt::AlignLeft);
    connect(again, &QPushButton::clicked, this, &SettingsPlace::refreshDevices);
    box->addWidget(card);
    box->addStretch(1);
    return page;
}

void SettingsPlace::refreshDevices()
{
    m_session.later(
        this, [] { return recipes::deviceReport(); },
        [this](recipes::DeviceReport&& report) {
            auto* grid = static_cast<QGridLayout*>(m_devices->layout());
            clearLayout(grid);
            int row = 0;
            const auto add = [&](const QString& name, const QString& value) {
                if (value.isEmpty())
                    return;
                grid->addWidget(new Text(name, TextRole::Body, Ink::Second), row, 0, Qt::AlignTop);
                auto* text = new Text(value);
                text->setWordWrap(true);
                grid->addWidget(text, row++, 1);
            };
            add(tr("Used"), qs(report.sentence));
            add(tr("Processor"), qs(report.cpuName));
            add(tr("Cores"), count(report.cores));
            add(tr("Fast routines"), qs(report.kernels));
            add(tr("Memory"),
                tr("%1, of which %2 free")
                    .arg(bytesText(report.memoryBytes), bytesText(report.memoryAvailable)));
            add(tr("Graphics card"),
                report.cudaUsable
                    ? tr("%1, ready").arg(qs(report.cudaName))
                    : qs(report.cudaMissing.empty() ? report.cudaName : report.cudaMissing));
            add(tr("To use it"), qs(report.cudaRemedy));
            add(tr("LibTorch"), qs(report.libtorchVersion));
        });
}

QWidget* SettingsPlace::createModels()
{
    auto* page = new QWidget;
    QVBoxLayout* box = machineBox(page, tr("Models"),
                                  tr("Originals in this workspace. They are never changed; a run "
                                     "makes a copy or an add-on."));
    m_models = new QTableWidget(0, 5);
    m_models->setObjectName("settingsModelsTable");
    m_models->setAccessibleName(tr("Models in this workspace"));
    m_models->setHorizontalHeaderLabels(
        {tr("Model"), tr("Size"), tr("On disk"), tr("Longest text"), tr("Licence")});
    m_models->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_models->horizontalHeader()->setStretchLastSection(true);
    m_models->verticalHeader()->hide();
    m_models->setShowGrid(false);
    m_models->setTabKeyNavigation(false);
    m_models->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_models->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_models->setSelectionMode(QAbstractItemView::SingleSelection);
    m_models->setMinimumHeight(Theme::instance().px(180));
    box->addWidget(m_models, 1);
    auto* row = new QHBoxLayout;
    m_importFile =
        plainButton(tr("Add from a file (GGUF)"), "settingsModelFileButton", "document-open");
    m_importFolder = plainButton(tr("Add from a folder"), "settingsModelFolderButton", "folder");
    m_importFolder->setToolTip(tr("A Hugging Face folder with config.json and safetensors"));
    m_removeModel = plainButton(tr("Remove"), "settingsModelRemoveButton", "edit-delete");
    m_importPhase = new Text({}, TextRole::Body, Ink::Second);
    m_importPhase->setObjectName("settingsModelPhase");
    row->addWidget(m_importFile);
    row->addWidget(m_importFolder);
    row->addWidget(m_importPhase, 1);
    row->addWidget(m_removeModel);
    box->addLayout(row);
    connect(m_importFile, &QPushButton::clicked, this, [this] {
        ask::files(this, tr("Choose a model file"), tr("Models (*.gguf);;All files (*)"),
                   [this](const QStringList& files) {
                       if (!files.isEmpty())
                           importModel(files.first());
                   });
    });
    connect(m_importFolder, &QPushButton::clicked, this, [this] {
        ask::folder(this, tr("Choose a model folder"), [this](const QString& folder) {
            if (!folder.isEmpty())
                importModel(folder);
        });
    });
    connect(m_removeModel, &QPushButton::clicked, this, [this] {
        const auto* item = m_models->item(m_models->currentRow(), 0);
        if (!item)
            return;
        ask::choice(
            this, tr("Remove %1?").arg(item->text()),
            tr("Its folder in the workspace is deleted. Runs that were made from it cannot be "
               "tried any more."),
            {tr("Remove"), tr("Keep it")}, [this, name = ss(item->text())](int answer) {
                if (answer != 0)
                    return;
                m_session.later(
                    this, [w = m_session.workspace(), name] { return w->removeModel(name); },
                    [this](Result<void>&& done) {
                        if (!done)
                            messages()->show(MessageBar::Kind::Error, sentence(done.error()));
                        Q_EMIT m_session.modelsChanged();
                    });
            });
    });
    return page;
}

void SettingsPlace::refreshModels()
{
    m_session.later(
        this, [workspace = m_session.workspace()] { return workspace->models(); },
        [this](std::vector<store::ModelRecord>&& models) {
            m_models->setRowCount(0);
            for (const auto& model : models) {
                const int row = m_models->rowCount();
                m_models->insertRow(row);
                const QString cells[] = {
                    qs(model.name), parametersText(model.parameters), bytesText(model.bytes),
                    tr("%1 pieces").arg(count(model.contextLength)),
                    model.licence.empty() ? tr("not stated in its files") : qs(model.licence)};
                for (int i = 0; i < 5; ++i) {
                    m_models->setItem(row, i, new QTableWidgetItem(cells[i]));
                    m_models->item(row, i)->setToolTip(qs(model.folder.string()));
                }
            }
            m_models->resizeColumnsToContents();
            m_removeModel->setEnabled(!models.empty());
            if (!models.empty())
                m_models->selectRow(0);
        });
}

void SettingsPlace::importModel(const QString& path)
{
    QString name = QFileInfo(path).completeBaseName();
    if (QFileInfo(path).isDir())
        name = QFileInfo(path).fileName();
    m_importFile->setEnabled(false);
    m_importFolder->setEnabled(false);
    m_importPhase->setText(tr("Reading %1 …").arg(name));
    m_job =
        m_session.submit(recipes::makeModelImportJob(m_session.workspace(), ss(path), ss(name)));
    connect(m_job, &JobBridge::happened, this, [this](const jobs::Event& event) {
        if (const auto* phase = std::get_if<jobs::PhaseChanged>(&event))
            m_importPhase->setText(qs(phase->phase) +
                                   (phase->detail.empty() ? QString() : ": " + qs(phase->detail)));
    });
    connect(m_job, &JobBridge::ended, this, [this, name](const jobs::Event& end) {
        m_importFile->setEnabled(true);
        m_importFolder->setEnabled(true);
        m_importPhase->setText({});
        if (const auto* failed = std::get_if<jobs::Failed>(&end))
            messages()->show(MessageBar::Kind::Error, sentence(failed->error));
        else if (std::holds_alternative<jobs::Finished>(end))
            messages()->show(MessageBar::Kind::Good, tr("%1 is ready.").arg(name),
                             tr("Make a plan"), [this] { m_session.go("plan"); });
        Q_EMIT m_session.modelsChanged();
    });
}

QWidget* SettingsPlace::createAbout()
{
    auto* page = new QWidget;
    QVBoxLayout* box = machineBox(
        page, tr("Fettle"),
        tr("Version %1. A workbench for fine-tuning small language models, on your own computer.")
            .arg(QCoreApplication::applicationVersion()));
    auto* text = new QTextBrowser;
    text->setObjectName("settingsLicences");
    text->setAccessibleName(tr("Licences"));
    text->setOpenExternalLinks(false);
    text->setOpenLinks(false);
    text->document()->setDocumentMargin(12);
    const std::pair<const char*, const char*> parts[] = {{"Fettle", "GPL-3.0-or-later"},
                                                         {"Qt 6", "LGPL-3.0 / GPL-3.0"},
                                                         {"QCustomPlot", "GPL-3.0-or-later"},
                                                         {"LibTorch 2.11", "BSD-3-Clause"},
                                                         {"Breeze icons", "LGPL-3.0-or-later"},
                                                         {"SQLite", "public domain"},
                                                         {"nlohmann json", "MIT"},
                                                         {"fmt", "MIT"},
                                                         {"ICU", "Unicode-3.0"},
                                                         {"PCRE2", "BSD-3-Clause"},
                                                         {"uchardet", "MPL-1.1 / GPL-2.0"},
                                                         {"sentencepiece", "Apache-2.0"},
                                                         {"CLI11", "BSD-3-Clause"},
                                                         {"cairo", "LGPL-2.1 / MPL-1.1"}};
    QString html = "<h3>" + tr("Licences") + "</h3><p>" +
                   tr("This program is free software: you may use, study, share and change it "
                      "under the GNU General Public License, "
                      "version 3 or later. It comes without warranty. It stands on:") +
                   "</p><table cellpadding='4'>";
    for (const auto& [name, licence] : parts)
        html += QStringLiteral("<tr><td>%1</td><td>%2</td></tr>").arg(name, licence);
    text->setHtml(html + "</table>");
    box->addWidget(text, 1);
    return page;
}

} // namespace fettle::ui
