#include "ui/settings/models_page.h"

#include "ui/settings/text_lens.h"
#include "ui/text/words.h"
#include "ui/widgets/drop_area.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLocale>
#include <QTableWidget>

namespace fettle::ui {

namespace {

/// "English, German" for the codes that the files state; a code without a name stays as it is.
QString languageNames(const std::vector<std::string>& codes)
{
    QStringList names;
    for (const std::string& code : codes) {
        const QLocale::Language language = QLocale(qs(code)).language();
        names << (language == QLocale::C ? qs(code) : QLocale::languageToString(language));
    }
    names.removeDuplicates();
    constexpr qsizetype kShown = 8;
    if (names.size() > kShown)
        return ModelsPage::tr("%1 and %2 more")
            .arg(names.mid(0, kShown).join(", "), count(names.size() - kShown));
    return names.join(", ");
}

QString stated(const QString& value)
{
    return value.isEmpty() ? ModelsPage::tr("not stated in its files") : value;
}

} // namespace

ModelsPage::ModelsPage(Session& session, MessageBar* messages, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_messages(messages)
{
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(16, 0, 8, 8);
    box->setSpacing(Theme::instance().px(12));
    box->addWidget(new Text(tr("Models"), TextRole::Section));
    auto* words = new Text(tr("Originals in this workspace. They are never changed; a run makes a "
                              "copy or an add-on."),
                           TextRole::Body, Ink::Second);
    words->setWordWrap(true);
    box->addWidget(words);
    auto* columns = new QHBoxLayout;
    columns->setSpacing(Theme::instance().px(16));
    columns->addWidget(createList(), 5);
    columns->addWidget(createCard(), 4);
    box->addLayout(columns);
    m_lens = new TextLens(m_session);
    m_lens->setMinimumHeight(Theme::instance().px(260));
    box->addWidget(m_lens, 1);
    connect(&m_session, &Session::modelsChanged, this, &ModelsPage::refresh);
}

QWidget* ModelsPage::createList()
{
    auto* list = new QWidget;
    auto* box = new QVBoxLayout(list);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(8));
    m_table = new QTableWidget(0, 3);
    m_table->setObjectName("settingsModelsTable");
    m_table->setAccessibleName(tr("Models in this workspace"));
    m_table->setHorizontalHeaderLabels({tr("Model"), tr("Size"), tr("On disk")});
    m_table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_table->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
    m_table->verticalHeader()->hide();
    m_table->setShowGrid(false);
    m_table->setTabKeyNavigation(false);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setMinimumHeight(Theme::instance().px(110));
    m_table->horizontalHeader()->setMinimumSectionSize(Theme::instance().px(70));
    box->addWidget(m_table, 1);
    auto* drop = new DropArea("settingsModelDropArea", "settingsModelFileButton",
                              {tr("Drop a model here"), tr("A GGUF file, or a folder from a hub"),
                               tr("Choose a file"),
                               tr("Drop a model file or folder here, or press Enter to choose")},
                              DropArea::Shape::Strip);
    m_drop = drop;
    box->addWidget(drop);
    auto* row = new QHBoxLayout;
    m_folder = plainButton(tr("Add from a folder"), "settingsModelFolderButton", "folder");
    m_folder->setToolTip(tr("A folder with config.json and safetensors or PyTorch files"));
    m_phase = new Text({}, TextRole::Body, Ink::Second);
    m_phase->setObjectName("settingsModelPhase");
    m_phase->setElided(true);
    m_cancel = plainButton(tr("Cancel"), "settingsModelCancelButton");
    m_cancel->hide();
    m_download = plainButton(tr("Download by name"), "settingsModelDownloadButton", "download");
    m_download->setToolTip(tr("From a model hub: owner/name, or owner/name@revision"));
    row->addWidget(m_folder);
    row->addWidget(m_download);
    row->addWidget(m_phase, 1);
    row->addWidget(m_cancel);
    box->addLayout(row);
    connect(m_table, &QTableWidget::itemSelectionChanged, this, &ModelsPage::chosen);
    connect(drop, &DropArea::asked, this, &ModelsPage::askFile);
    connect(drop, &DropArea::dropped, this,
            [this](const QStringList& paths) { importModel(paths.first()); });
    connect(m_folder, &QPushButton::clicked, this, &ModelsPage::askFolder);
    connect(m_download, &QPushButton::clicked, this, &ModelsPage::askName);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        if (m_job)
            m_job->requestStop();
    });
    return list;
}

QWidget* ModelsPage::createCard()
{
    auto* card = new Card;
    card->setObjectName("modelCard");
    m_name = new Text({}, TextRole::Section);
    m_name->setElided(true);
    card->box()->addWidget(m_name);
    auto* grid = new QWidget;
    m_facts = new QGridLayout(grid);
    m_facts->setContentsMargins(0, 0, 0, 0);
    m_facts->setHorizontalSpacing(Theme::instance().px(16));
    m_facts->setVerticalSpacing(Theme::instance().px(5));
    m_facts->setColumnStretch(1, 1);
    card->box()->addWidget(grid);
    m_notes = new Text({}, TextRole::Small, Ink::Second);
    m_notes->setObjectName("modelNotes");
    m_notes->setWordWrap(true);
    card->box()->addWidget(m_notes);
    card->box()->addStretch(1);
    m_remove = plainButton(tr("Remove"), "settingsModelRemoveButton", "edit-delete");
    card->box()->addWidget(m_remove, 0, Qt::AlignRight);
    connect(m_remove, &QPushButton::clicked, this, &ModelsPage::askRemove);
    return card;
}

const store::ModelRecord* ModelsPage::current() const
{
    const int row = m_table->currentRow();
    return row >= 0 && row < static_cast<int>(m_models.size())
               ? &m_models[static_cast<std::size_t>(row)]
               : nullptr;
}

void ModelsPage::refresh()
{
    m_session.later(
        this, [workspace = m_session.workspace()] { return workspace->models(); },
        [this](std::vector<store::ModelRecord>&& models) {
            const auto* before = current();
            QString wanted = m_wanted.isEmpty() && before ? qs(before->name) : m_wanted;
            m_wanted.clear();
            m_models = std::move(models);
            const QSignalBlocker quiet(m_table);
            m_table->setRowCount(static_cast<int>(m_models.size()));
            int at = 0;
            for (int row = 0; row < static_cast<int>(m_models.size()); ++row) {
                const auto& model = m_models[static_cast<std::size_t>(row)];
                const QString cells[] = {qs(model.name), parametersText(model.parameters),
                                         bytesText(model.bytes)};
                for (int i = 0; i < 3; ++i) {
                    auto* item = new QTableWidgetItem(cells[i]);
                    item->setToolTip(qs(model.folder.string()));
                    m_table->setItem(row, i, item);
                }
                if (cells[0] == wanted)
                    at = row;
            }
            m_table->resizeColumnToContents(1);
            m_table->resizeColumnToContents(2);
            if (!m_models.empty())
                m_table->selectRow(at);
            chosen();
        });
}

void ModelsPage::chosen()
{
    const auto* model = current();
    m_remove->setVisible(model != nullptr);
    if (!model) {
        clearLayout(m_facts);
        m_name->setText(tr("No model yet"));
        m_notes->setText(
            tr("Drop one on the left. Its size, licence and languages will stand here."));
        m_lens->setModel({});
        return;
    }
    m_lens->setModel(model->name);
    m_session.later(
        this,
        [record = *model] {
            return std::pair{record, recipes::modelFacts(record)};
        },
        [this](std::pair<store::ModelRecord, Result<recipes::ModelFacts>>&& found) {
            const auto* now = current();
            if (now && now->name == found.first.name)
                showFacts(found.first, found.second);
        });
}

void ModelsPage::addFact(const QString& name, const QString& value)
{
    m_facts->addWidget(new Text(name, TextRole::Body, Ink::Second), m_row, 0, Qt::AlignTop);
    auto* text = new Text(value);
    text->setWordWrap(true);
    m_facts->addWidget(text, m_row++, 1);
}

void ModelsPage::addFit(const QString& name, const recipes::Fit& fit)
{
    using Level = recipes::Fit::Level;
    const Level level = fit.level();
    const QString needs = tr("≈ %1 of %2").arg(bytesText(fit.needed), bytesText(fit.available));
    const QString words = level == Level::Fits ? tr("fits, %1").arg(needs)
                          : level == Level::Tight
                              ? tr("tight, %1").arg(needs)
                              : tr("too large by %1").arg(bytesText(fit.needed - fit.available));
    m_facts->addWidget(new Text(name, TextRole::Body, Ink::Second), m_row, 0, Qt::AlignTop);
    auto* line = new QHBoxLayout;
    line->setSpacing(Theme::instance().px(6));
    line->addWidget(level == Level::Fits    ? new IconLabel("data-success", 16, Ink::Good)
                    : level == Level::Tight ? new IconLabel("data-warning", 16, Ink::Warning)
                                            : new IconLabel("data-error", 16, Ink::Error));
    line->addWidget(new Text(words), 1);
    m_facts->addLayout(line, m_row++, 1);
}

void ModelsPage::showFacts(const store::ModelRecord& record,
                           const Result<recipes::ModelFacts>& facts)
{
    clearLayout(m_facts);
    m_row = 0;
    m_name->setText(qs(record.name));
    QStringList notes;
    if (record.info.contains("notes")) {
        for (const auto& note : record.info["notes"])
            notes << qs(note.get<std::string>());
    }
    m_notes->setText(notes.join('\n'));
    if (!facts) {
        addFact(tr("Problem"), sentence(facts.error()));
        return;
    }
    const auto& card = facts->card;
    addFact(tr("Family"), qs(record.family));
    addFact(tr("Size"),
            tr("%1, %2 on disk").arg(parametersText(record.parameters), bytesText(record.bytes)));
    addFact(tr("Longest text"), tr("%1 word pieces").arg(count(record.contextLength)));
    addFact(tr("Licence"), stated(qs(card.licenceName.empty() ? card.licence : card.licenceName)));
    addFact(tr("Languages"), stated(languageNames(card.languages)));
    if (!card.baseModels.empty())
        addFact(tr("Made from"), qs(card.baseModels.front()));
    addFact(tr("Conversation form"),
            facts->conversationForm ? tr("its own") : tr("none: it continues texts"));
    addFit(tr("Answering"), facts->answering);
    addFit(tr("Training an add-on"), facts->addOn);
    addFit(tr("Training the whole"), facts->whole);
}

} // namespace fettle::ui
