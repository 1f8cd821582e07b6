#include "ui/settings/settings_place.h"

#include "ui/settings/models_page.h"
#include "ui/settings/preferences.h"
#include "ui/text/words.h"

#include <QCheckBox>
#include <QComboBox>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QListWidget>
#include <QSpinBox>
#include <QStackedWidget>
#include <QStorageInfo>

namespace fettle::ui {

namespace {

/// A page of settings: heading, then rows, not wider than a line of text should be.
QVBoxLayout* pageBox(QWidget* page, const QString& title, const QString& line)
{
    auto* outer = new QHBoxLayout(page);
    outer->setContentsMargins(16, 0, 8, 8);
    auto* inner = new QWidget;
    inner->setMaximumWidth(Theme::instance().px(760));
    auto* box = new QVBoxLayout(inner);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(12));
    box->addWidget(new Text(title, TextRole::Section));
    auto* words = new Text(line, TextRole::Body, Ink::Second);
    words->setWordWrap(true);
    box->addWidget(words);
    outer->addWidget(inner, 1);
    outer->addStretch(0);
    return box;
}

} // namespace

SettingsPlace::SettingsPlace(Session& session, QWidget* parent)
    : Place(session, "settings", tr("Settings"), parent)
{
    auto* full = new QWidget;
    auto* row = new QHBoxLayout(full);
    row->setContentsMargins(0, 4, 0, 0);
    m_list = new QListWidget;
    m_list->setObjectName("settingsList");
    m_list->setAccessibleName(tr("Pages of the settings"));
    m_list->setFixedWidth(Theme::instance().px(190));
    m_pages = new QStackedWidget;
    m_pages->setObjectName("settingsPages");
    row->addWidget(m_list);
    row->addWidget(m_pages, 1);
    addPage("general", tr("General"), "settings-configure", createGeneral());
    addPage("folders", tr("Folders"), "folder", createFolders());
    addPage("devices", tr("Devices"), "computer", createDevices());
    m_models = new ModelsPage(m_session, messages());
    addPage("models", tr("Models"), "system-run", m_models);
    addPage("privacy", tr("Privacy"), "document-encrypt", createPrivacy());
    addPage("about", tr("About"), "help-about", createAbout());
    setPages(nullptr, nullptr, full);
    setState(PlaceState::Full);
    connect(m_list, &QListWidget::currentRowChanged, m_pages, &QStackedWidget::setCurrentIndex);
    m_list->setCurrentRow(0);
    m_models->refresh();
}

void SettingsPlace::addPage(const QString& id, const QString& words, const QString& iconName,
                            QWidget* page)
{
    auto* item = new QListWidgetItem(icon(iconName), words, m_list);
    item->setSizeHint({0, Theme::instance().px(36)});
    m_ids << id;
    m_pages->addWidget(scrolled(page, "settingsScroll_" + id));
}

void SettingsPlace::activate(const QString& argument)
{
    if (const auto at = m_ids.indexOf(argument); at >= 0)
        m_list->setCurrentRow(static_cast<int>(at));
    m_models->refresh();
    refreshDevices();
}

void SettingsPlace::importModel(const QString& path)
{
    activate("models");
    m_models->importModel(path);
}

QToolButton* SettingsPlace::resetButton(const QString& key)
{
    QString name = key;
    auto* button = toolButton("edit-undo", tr("Back to the default"),
                              "settingsReset_" + name.replace('/', '_'));
    const auto refresh = [button, key] {
        button->setVisible(!Preferences::instance().isDefault(key));
    };
    connect(button, &QToolButton::clicked, this, [key] { Preferences::instance().reset(key); });
    connect(&Preferences::instance(), &Preferences::changed, button, refresh);
    QSizePolicy policy = button->sizePolicy();
    policy.setRetainSizeWhenHidden(true);
    button->setSizePolicy(policy);
    refresh();
    return button;
}

QWidget* SettingsPlace::createGeneral()
{
    auto& preferences = Preferences::instance();
    auto* page = new QWidget;
    QVBoxLayout* box = pageBox(page, tr("General"), tr("Every setting takes effect at once."));
    auto* card = new Card;
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(Theme::instance().px(16));
    grid->setVerticalSpacing(Theme::instance().px(14));
    grid->setColumnStretch(0, 1);
    int row = 0;
    const auto add = [&](const QString& title, const QString& line, QWidget* control,
                         const QString& key) {
        auto* words = new QVBoxLayout;
        words->setSpacing(0);
        auto* label = new Text(title, TextRole::Body);
        label->setBuddy(control);
        control->setAccessibleName(title);
        control->setAccessibleDescription(line);
        words->addWidget(label);
        words->addWidget(new Text(line, TextRole::Small, Ink::Second));
        grid->addLayout(words, row, 0);
        grid->addWidget(control, row, 1);
        grid->addWidget(resetButton(key), row, 2);
        ++row;
    };
    auto* theme = new QComboBox;
    theme->setObjectName("settingsThemeCombo");
    theme->addItems({tr("Follow the system"), tr("Light"), tr("Dark"), tr("High contrast, light"),
                     tr("High contrast, dark")});
    theme->setCurrentIndex(preferences.value("look/theme").toInt());
    add(tr("Theme"), tr("Colours of the window"), theme, "look/theme");
    auto* size = new QSpinBox;
    size->setObjectName("settingsTextSizeSpin");
    size->setRange(80, 200);
    size->setSingleStep(10);
    size->setSuffix(tr(" %"));
    size->setKeyboardTracking(false);
    size->setValue(preferences.value("look/textSize").toInt());
    add(tr("Text size"),
        tr("80 to 200 per cent of the system's size; spacing follows after a restart"), size,
        "look/textSize");
    auto* halfLife = new QSpinBox;
    halfLife->setObjectName("settingsHalfLifeSpin");
    halfLife->setRange(0, 500);
    halfLife->setSuffix(tr(" steps"));
    halfLife->setKeyboardTracking(false);
    halfLife->setValue(preferences.value("plots/halfLife").toInt());
    add(tr("Smoothing of curves"),
        tr("Half-life in steps, the same for every run on a plot; 0 shows every step"), halfLife,
        "plots/halfLife");
    auto* notices = new QCheckBox(tr("on"));
    notices->setObjectName("settingsNoticesCheck");
    notices->setChecked(preferences.value("notices/desktop").toBool());
    add(tr("Call me when a run ends"),
        tr("Marks the window in the task bar when it is not in front"), notices, "notices/desktop");
    card->box()->addLayout(grid);
    box->addWidget(card);
    box->addStretch(1);
    connect(theme, &QComboBox::activated, this,
            [](int index) { Preferences::instance().setValue("look/theme", index); });
    connect(size, &QSpinBox::valueChanged, this,
            [](int v) { Preferences::instance().setValue("look/textSize", v); });
    connect(halfLife, &QSpinBox::valueChanged, this,
            [](int v) { Preferences::instance().setValue("plots/halfLife", v); });
    connect(notices, &QCheckBox::toggled, this,
            [](bool on) { Preferences::instance().setValue("notices/desktop", on); });
    connect(&preferences, &Preferences::changed, this,
            [theme, size, halfLife, notices](const QString& key) {
                auto& p = Preferences::instance();
                theme->setCurrentIndex(p.value("look/theme").toInt());
                size->setValue(p.value("look/textSize").toInt());
                halfLife->setValue(p.value("plots/halfLife").toInt());
                notices->setChecked(p.value("notices/desktop").toBool());
                if (key.startsWith("look/"))
                    p.applyLook();
            });
    return page;
}

QWidget* SettingsPlace::createFolders()
{
    auto* page = new QWidget;
    QVBoxLayout* box = pageBox(page, tr("Folders"),
                               tr("Everything of a workspace is in one folder: copy it to a stick "
                                  "and it works elsewhere."));
    auto* card = new Card;
    const QString folder = qs(m_session.workspace()->folder().string());
    card->box()->addWidget(new Text(tr("This workspace"), TextRole::Small, Ink::Second));
    auto* path = new Text(folder, TextRole::Fixed);
    path->setTextInteractionFlags(Qt::TextSelectableByMouse);
    path->setFocusPolicy(Qt::NoFocus);
    path->setElided(true);
    card->box()->addWidget(path);
    const QStorageInfo disk(folder);
    card->box()->addWidget(
        new Text(tr("%1 free of %2")
                     .arg(bytesText(static_cast<std::uint64_t>(disk.bytesAvailable())),
                          bytesText(static_cast<std::uint64_t>(disk.bytesTotal()))),
                 TextRole::Small, Ink::Second));
    auto* open =
        plainButton(tr("Open another workspace"), "settingsOpenWorkspaceButton", "document-open");
    connect(open, &QPushButton::clicked, this, &SettingsPlace::openWorkspaceWanted);
    card->box()->addWidget(open, 0, Qt::AlignLeft);
    auto* rebuild = plainButton(tr("Rebuild the index"), "settingsRebuildButton", "view-refresh");
    rebuild->setToolTip(
        tr("Reads all run folders again; use it when a run is missing from the list"));
    card->box()->addWidget(rebuild, 0, Qt::AlignLeft);
    connect(rebuild, &QPushButton::clicked, this, [this] {
        m_session.later(
            this, [workspace = m_session.workspace()] { return workspace->rebuildIndex(); },
            [this](Result<std::vector<std::string>>&& damaged) {
                if (!damaged)
                    messages()->show(MessageBar::Kind::Error, sentence(damaged.error()));
                else if (damaged->empty())
                    messages()->show(MessageBar::Kind::Good,
                                     tr("The index is rebuilt; no folder is damaged."));
                else
                    messages()->show(
                        MessageBar::Kind::Warning,
                        tr("Rebuilt. Damaged and left alone: %1").arg(qs(damaged->front())));
                Q_EMIT m_session.runsChanged();
            });
    });
    box->addWidget(card);
    box->addStretch(1);
    return page;
}

} // namespace fettle::ui
