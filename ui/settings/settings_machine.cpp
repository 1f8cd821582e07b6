// The pages of the settings about this machine and the program itself.
#include "ui/settings/settings_place.h"
#include "ui/text/words.h"

#include <QGridLayout>
#include <QHBoxLayout>
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
                    ? tr("%1, of which %2 free").arg(qs(report.cudaName), bytesText(report.cudaMemoryAvailable))
                    : qs(report.cudaMissing.empty() ? report.cudaName : report.cudaMissing));
            add(tr("To use it"), qs(report.cudaRemedy));
            add(tr("LibTorch"), qs(report.libtorchVersion));
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
                                                         {"libcurl", "curl"},
                                                         {"OpenSSL", "Apache-2.0"},
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
