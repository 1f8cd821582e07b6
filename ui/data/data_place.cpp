#include "ui/data/data_place.h"

#include "ui/data/row_model.h"
#include "ui/settings/preferences.h"
#include "ui/text/words.h"
#include "ui/widgets/ask.h"
#include "ui/widgets/count_delegate.h"
#include "ui/widgets/drop_area.h"
#include "ui/widgets/empty_state.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLineEdit>
#include <QListWidget>
#include <QSplitter>
#include <QTableView>

namespace fettle::ui {

DataPlace::DataPlace(Session& session, QWidget* parent)
    : Place(session, "data", tr("Data"), parent)
{
    createTools();
    createLayout();
    createPlaceActions();
    connectSignals();
    refreshList();
}

void DataPlace::createTools()
{
    m_datasets = new QComboBox(this);
    m_datasets->setObjectName("dataSetCombo");
    m_datasets->setAccessibleName(tr("Which examples"));
    m_datasets->setMinimumContentsLength(14);
    m_filter = new QLineEdit(this);
    m_filter->setObjectName("dataFilterEdit");
    m_filter->setAccessibleName(tr("Show only rows with these words"));
    m_filter->setPlaceholderText(tr("Filter"));
    m_filter->setClearButtonEnabled(true);
    m_filter->addAction(icon("view-filter", Ink::Second), QLineEdit::LeadingPosition);
    m_filter->setFixedWidth(Theme::instance().px(180));
    auto* add = plainButton(tr("Add rows"), "dataAddButton", "list-add", this);
    auto* versions = plainButton(tr("Versions"), "dataVersionsButton", "view-history", this);
    for (QWidget* w : std::initializer_list<QWidget*>{m_datasets, m_filter, add, versions})
        addTool(w);
    connect(versions, &QPushButton::clicked, this, &DataPlace::showVersions);
    connect(add, &QPushButton::clicked, this, [this] {
        ask::files(
            this, tr("Add rows from files"), tr("All files (*)"), [this](const QStringList& files) {
                if (!files.isEmpty())
                    runImport({files, {}, m_dataset ? m_name : QString(), m_dataset != nullptr});
            });
    });
}

void DataPlace::createLayout()
{
    auto* empty = new EmptyState(
        "table", tr("Rows of examples will be here"),
        tr("A question and the answer you want, row by row. A table, a text file or an export of "
           "conversations will do."));
    auto* drop = new DropArea("dataDropArea", "dataChooseFileButton", DropArea::exampleWords());
    drop->setFixedWidth(Theme::instance().px(520));
    empty->box()->addWidget(drop);
    connect(drop, &DropArea::dropped, this,
            [this](const QStringList& files) { importFiles(files); });
    connect(drop, &DropArea::asked, this, [this] {
        ask::files(this, tr("Choose examples"), tr("All files (*)"),
                   [this](const QStringList& files) {
                       if (!files.isEmpty())
                           importFiles(files);
                   });
    });
    m_loading = new LoadingState("data");
    connect(m_loading, &LoadingState::cancelled, this, [this] { m_stop.request_stop(); });

    auto* full = new QWidget;
    auto* box = new QVBoxLayout(full);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(10));
    box->addWidget(createHead());
    box->addWidget(createChips());
    m_look = new Card(full, Card::Kind::Tinted);
    m_look->setObjectName("dataFirstLook");
    m_lookBox = new QVBoxLayout;
    m_look->box()->addLayout(m_lookBox);
    m_look->hide();
    box->addWidget(m_look);
    box->addWidget(createTable(), 1);
    QHBoxLayout* bottom = addBottomRow(box);
    auto* split = plainButton(tr("Divide …"), "dataSplitButton", "view-split-left-right");
    split->setToolTip(tr("How rows are divided into training, checking and test rows"));
    m_right = primaryButton(tr("Looks right"), "dataLooksRightButton");
    bottom->addStretch(1);
    bottom->addWidget(split);
    bottom->addWidget(m_right);
    connect(split, &QPushButton::clicked, this, &DataPlace::askSplit);
    connect(m_right, &QPushButton::clicked, this, &DataPlace::looksRight);
    setPages(empty, m_loading, full);
}

QWidget* DataPlace::createHead()
{
    auto* head = new QWidget;
    auto* row = new QHBoxLayout(head);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(6);
    m_headBefore = new Text({}, TextRole::Body);
    m_headBetween = new Text(tr("and should answer"), TextRole::Body);
    m_headAfter = new Text({}, TextRole::Body, Ink::Second);
    m_headAfter->setElided(true);
    m_questionRole = new QComboBox;
    m_questionRole->setObjectName("dataRoleQuestionCombo");
    m_questionRole->setAccessibleName(tr("Column with the question"));
    m_answerRole = new QComboBox;
    m_answerRole->setObjectName("dataRoleAnswerCombo");
    m_answerRole->setAccessibleName(tr("Column with the answer"));
    row->addWidget(m_headBefore);
    row->addWidget(m_questionRole);
    row->addWidget(m_headBetween);
    row->addWidget(m_answerRole);
    row->addWidget(m_headAfter, 1);
    connect(m_questionRole, &QComboBox::activated, this, &DataPlace::rolesChanged);
    connect(m_answerRole, &QComboBox::activated, this, &DataPlace::rolesChanged);
    return head;
}

QWidget* DataPlace::createChips()
{
    auto* box = new QWidget;
    auto* column = new QVBoxLayout(box);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(8);
    auto* row = new QHBoxLayout;
    row->setSpacing(8);
    for (const char* health : {"doubled", "leaks", "empty", "unread"}) {
        auto* chip = new QToolButton;
        chip->setObjectName(QStringLiteral("dataHealth_%1").arg(health));
        chip->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
        chip->setCheckable(true);
        chip->setFocusPolicy(Qt::StrongFocus);
        chip->setAutoRaise(true);
        row->addWidget(chip);
        m_chips[health] = chip;
        connect(chip, &QToolButton::clicked, this, [this, chip, health] {
            if (QString(health) == "unread") {
                chip->setChecked(false);
                showBadRows();
            } else {
                setHealth(chip->isChecked() ? health : "");
            }
        });
    }
    row->addStretch(1);
    column->addLayout(row);
    m_fix = new Card(box, Card::Kind::Sunken);
    m_fix->setObjectName("dataFixPanel");
    m_fix->box()->setContentsMargins(12, 8, 8, 8);
    auto* line = new QHBoxLayout;
    m_fixWords = new Text({}, TextRole::Body);
    m_fixButton = plainButton({}, "dataFixButton");
    line->addWidget(m_fixWords, 1);
    line->addWidget(m_fixButton);
    m_fix->box()->addLayout(line);
    m_fix->hide();
    column->addWidget(m_fix);
    connect(m_fixButton, &QPushButton::clicked, this, &DataPlace::fixHealth);
    return box;
}

QWidget* DataPlace::createTable()
{
    auto* splitter = new QSplitter(Qt::Horizontal);
    splitter->setObjectName("dataSplitter");
    splitter->setChildrenCollapsible(false);
    m_sources = new QListWidget;
    m_sources->setObjectName("dataSourceList");
    m_sources->setAccessibleName(tr("Parts of the rows"));
    m_sources->setMinimumWidth(Theme::instance().px(140));
    m_sources->setItemDelegate(new CountDelegate(m_sources));
    for (int i = 0; i < 5; ++i)
        m_sources->addItem(QString());
    m_model = new RowModel(m_session, this);
    m_table = new QTableView;
    m_table->setObjectName("dataTable");
    m_table->setAccessibleName(tr("Rows"));
    m_table->setModel(m_model);
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setTabKeyNavigation(false);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(Theme::instance().px(30));
    QHeaderView* header = m_table->horizontalHeader();
    header->setHighlightSections(false);
    header->setMinimumSectionSize(48);
    header->setSectionResizeMode(RowModel::Question, QHeaderView::Stretch);
    header->setSectionResizeMode(RowModel::AnswerText, QHeaderView::Stretch);
    header->resizeSection(RowModel::Position, Theme::instance().px(56));
    header->resizeSection(RowModel::Pieces, Theme::instance().px(70));
    header->resizeSection(RowModel::Part, Theme::instance().px(84));
    m_view = new RowView;
    m_view->setMinimumWidth(Theme::instance().px(260));
    splitter->addWidget(m_sources);
    splitter->addWidget(m_table);
    splitter->addWidget(m_view);
    splitter->setStretchFactor(1, 3);
    splitter->setStretchFactor(2, 2);
    splitter->setSizes({150, 560, 340});
    Preferences::instance().keep(splitter);
    return splitter;
}

void DataPlace::connectSignals()
{
    connect(m_datasets, &QComboBox::activated, this,
            [this] { openDataset(m_datasets->currentText()); });
    connect(m_filter, &QLineEdit::textChanged, this, &DataPlace::applyFilter);
    connect(m_sources, &QListWidget::currentRowChanged, this, &DataPlace::applyFilter);
    connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
            &DataPlace::showChosenRow);
    connect(m_model, &RowModel::pageLoaded, this, [this] {
        if (!m_table->currentIndex().isValid() && m_model->rowCount() > 0)
            m_table->selectRow(0);
        if (m_view->rowId() == 0)
            showChosenRow();
    });
    connect(m_model, &RowModel::reloaded, this, [this] {
        m_view->showNothing();
        if (m_model->rowCount() > 0) {
            m_table->selectRow(0);
            m_model->rowAt(0); // asks for the first page even when the table is not painted yet
        }
    });
    connect(m_view->modelCombo(), &QComboBox::activated, this, &DataPlace::modelChanged);
    connect(m_view, &RowView::dropWanted, this, &DataPlace::dropChosen);
    connect(m_view, &RowView::changed, this, [this](std::int64_t id, const data::Example& example) {
        edit([id, example](store::Dataset& dataset) { return dataset.update(id, example); });
    });
    connect(&m_session, &Session::modelsChanged, this, &DataPlace::refreshList);
    connect(&Theme::instance(), &Theme::changed, this, [this] { showCounts(m_counts); });
}

void DataPlace::createPlaceActions()
{
    addPlaceAction(tr("Edit row"), "actionDataEdit", QKeySequence("E"), [this] { m_view->edit(); });
    addPlaceAction(tr("Drop rows"), "actionDataDrop", QKeySequence("D"), [this] { dropChosen(); });
    addPlaceAction(tr("Accept the fix"), "actionDataFix", QKeySequence("A"),
                   [this] { fixHealth(); });
    addPlaceAction(tr("Next row with a warning"), "actionDataNext", QKeySequence("N"),
                   [this] { nextWithWarning(); });
    addPlaceAction(tr("Filter"), "actionDataFilter", QKeySequence("/"),
                   [this] { m_filter->setFocus(); });
    const auto move = [this](int by) {
        const int row = qBound(0, m_table->currentIndex().row() + by, m_model->rowCount() - 1);
        if (row >= 0)
            m_table->selectRow(row);
    };
    addPlaceAction(tr("Next row"), "actionDataDown", QKeySequence("J"), [move] { move(1); });
    addPlaceAction(tr("Previous row"), "actionDataUp", QKeySequence("K"), [move] { move(-1); });
    addPlaceAction(tr("Divide the rows …"), "actionDataSplit", {}, [this] { askSplit(); });
    addPlaceAction(tr("Move these examples to the bin"), "actionDataRemove", {}, [this] {
        if (m_name.isEmpty())
            return;
        m_session.later(
            this,
            [workspace = m_session.workspace(), name = ss(m_name)] {
                return workspace->removeDataset(name);
            },
            [this](Result<void>&& done) {
                if (!done)
                    messages()->show(MessageBar::Kind::Error, sentence(done.error()));
                m_dataset.reset();
                m_name.clear();
                m_model->setDataset(nullptr);
                refreshList();
                Q_EMIT m_session.datasetsChanged();
            });
    });
}

QPushButton* DataPlace::mainButton() const { return m_right; }
QWidget* DataPlace::filterField() const { return m_filter; }

void DataPlace::activate(const QString& argument)
{
    if (!argument.isEmpty() && argument != m_name)
        openDataset(argument);
}

void DataPlace::looksRight()
{
    m_look->hide();
    m_fresh = false;
    m_session.go("plan", m_name);
}

} // namespace fettle::ui
