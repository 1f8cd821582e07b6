#include "ui/help/help_place.h"

#include "ui/settings/preferences.h"

#include <QLineEdit>
#include <QListWidget>
#include <QSplitter>
#include <QTextBrowser>
#include <QVBoxLayout>

namespace fettle::ui {

namespace {

/// Controls whose page is not the page of their place.
const std::map<QString, QString>& controlPages()
{
    static const std::map<QString, QString> pages{
        {"planPassesSpin", "setting/training.passes"},
        {"planRateSpin", "setting/training.learningRate"},
        {"planRowsPerStepSpin", "setting/training.batchSize"},
        {"planLongestSpin", "setting/training.maxLength"},
        {"planAddonSizeSpin", "setting/lora.rank"},
        {"planTaughtCombo", "setting/sft.lossOn"},
        {"planCheckEverySpin", "setting/checks.everySteps"},
        {"planStopCheck", "setting/checks.earlyStop"},
        {"planMethodCombo", "setting/method"},
        {"planGoalCombo", "setting/objective"}};
    return pages;
}

} // namespace

HelpPlace::HelpPlace(Session& session, QWidget* parent)
    : Place(session, "help", tr("Help"), parent)
    , m_pages(helpPages())
    , m_search(new QLineEdit(this))
    , m_list(new QListWidget)
    , m_view(new QTextBrowser)
{
    m_search->setObjectName("helpSearchEdit");
    m_search->setAccessibleName(tr("Search the help"));
    m_search->setPlaceholderText(tr("Search"));
    m_search->addAction(icon("edit-find", Ink::Second), QLineEdit::LeadingPosition);
    m_search->setClearButtonEnabled(true);
    m_search->setFixedWidth(Theme::instance().px(240));
    addTool(m_search);
    m_list->setObjectName("helpList");
    m_list->setAccessibleName(tr("Pages of the help"));
    m_view->setObjectName("helpView");
    m_view->setAccessibleName(tr("Help"));
    m_view->setOpenLinks(false);
    m_view->document()->setDocumentMargin(16);
    auto* splitter = new QSplitter(Qt::Horizontal);
    splitter->setObjectName("helpSplitter");
    splitter->setChildrenCollapsible(false);
    splitter->addWidget(m_list);
    splitter->addWidget(m_view);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({250, 800});
    Preferences::instance().keep(splitter);
    for (const HelpPage& page : m_pages) {
        auto* item = new QListWidgetItem(page.title, m_list);
        item->setSizeHint({0, Theme::instance().px(30)});
    }
    setPages(nullptr, nullptr, splitter);
    setState(PlaceState::Full);
    connect(m_list, &QListWidget::currentRowChanged, this, &HelpPlace::showPage);
    connect(m_search, &QLineEdit::textChanged, this, &HelpPlace::filter);
    connect(m_view, &QTextBrowser::anchorClicked, this,
            [this](const QUrl& url) { activate(url.path()); });
    connect(&Theme::instance(), &Theme::changed, this, [this] {
        m_pages = helpPages();
        showPage(m_list->currentRow());
    });
    m_list->setCurrentRow(0);
}

QWidget* HelpPlace::filterField() const { return m_search; }

void HelpPlace::activate(const QString& argument)
{
    QString id = argument;
    if (const auto slash = argument.indexOf('/'); slash > 0 && !argument.startsWith("setting/")) {
        const QString control = argument.mid(slash + 1);
        const auto found = controlPages().find(control);
        id = argument.left(slash);
        if (found != controlPages().end())
            id = found->second;
        else if (control.startsWith("planAll_"))
            id = "setting/" + control.mid(8);
        else if (control.startsWith("planSetting_"))
            id = "setting/" + control.mid(12);
    }
    for (std::size_t i = 0; i < m_pages.size(); ++i) {
        if (m_pages[i].id == id)
            m_list->setCurrentRow(static_cast<int>(i));
    }
}

void HelpPlace::filter(const QString& words)
{
    const QStringList parts = words.split(' ', Qt::SkipEmptyParts);
    int first = -1;
    for (int i = 0; i < m_list->count(); ++i) {
        const HelpPage& page = m_pages[static_cast<std::size_t>(i)];
        bool found = true;
        for (const QString& part : parts)
            found = found && (page.title.contains(part, Qt::CaseInsensitive) ||
                              page.html.contains(part, Qt::CaseInsensitive));
        m_list->item(i)->setHidden(!found);
        if (found && first < 0)
            first = i;
    }
    if (first >= 0 && m_list->currentItem() && m_list->currentItem()->isHidden())
        m_list->setCurrentRow(first);
}

void HelpPlace::showPage(int index)
{
    if (index >= 0 && index < static_cast<int>(m_pages.size()))
        m_view->setHtml(m_pages[static_cast<std::size_t>(index)].html);
}

} // namespace fettle::ui
