// What stands in the place and where.
#include "ui/deploy/deploy_place.h"
#include "ui/deploy/export_words.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"

#include <QComboBox>
#include <QGridLayout>
#include <QHBoxLayout>

namespace fettle::ui {

void DeployPlace::createTiles(QGridLayout* grid)
{
    constexpr int kColumns = 3; // fit the smallest window
    grid->setSpacing(Theme::instance().px(12));
    for (const auto& form : recipes::exportFormInfos()) {
        const FormWords words = wordsOf(form);
        Tile tile;
        tile.form = form;
        tile.button = new CardButton;
        tile.button->setObjectName("deployTile_" + qs(form.id));
        tile.button->setAccessibleName(words.title);
        tile.button->setAccessibleDescription(words.line);
        tile.button->setCheckable(true);
        tile.button->setAutoExclusive(true);
        tile.button->setMinimumHeight(Theme::instance().px(150));
        tile.button->setMaximumWidth(Theme::instance().px(400));
        auto* top = new QHBoxLayout;
        top->addWidget(new IconLabel(words.icon, 22, Ink::Accent));
        top->addWidget(new Text(words.title, TextRole::Section), 1);
        tile.button->box()->addLayout(top);
        auto* line = new Text(words.line, TextRole::Body, Ink::Second);
        line->setWordWrap(true);
        tile.button->box()->addWidget(line);
        tile.button->box()->addStretch(1);
        tile.size = new Text({}, TextRole::Number);
        tile.button->box()->addWidget(tile.size);
        tile.note = new Text({}, TextRole::Small, Ink::Second);
        tile.note->setWordWrap(true);
        tile.button->box()->addWidget(tile.note);
        for (QWidget* child : tile.button->findChildren<QWidget*>())
            child->setAttribute(Qt::WA_TransparentForMouseEvents);
        connect(tile.button, &QAbstractButton::clicked, this, [this, id = form.id] {
            m_form = id;
            formChosen();
        });
        const int number = static_cast<int>(m_tiles.size());
        grid->addWidget(tile.button, number / kColumns, number % kColumns);
        m_tiles.push_back(std::move(tile));
    }
    for (int column = 0; column < kColumns; ++column)
        grid->setColumnStretch(column, 1);
}

QWidget* DeployPlace::createNumbers()
{
    m_numbers = new QWidget;
    auto* row = new QHBoxLayout(m_numbers);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(Theme::instance().px(8));
    auto* name = new Text(tr("Size of the numbers"), TextRole::Body, Ink::Second);
    m_type = new QComboBox;
    m_type->setObjectName("deploySizeCombo");
    m_type->setAccessibleName(tr("Size of the numbers"));
    m_type->setToolTip(tr("How many bits each number of the model takes in the file; term: "
                          "quantisation"));
    name->setBuddy(m_type);
    m_typeNote = new Text({}, TextRole::Body, Ink::Second);
    row->addWidget(name);
    row->addWidget(m_type);
    row->addWidget(m_typeNote, 1);
    return m_numbers;
}

QWidget* DeployPlace::createProgress()
{
    m_progress = new Card(nullptr, Card::Kind::Sunken);
    auto* line = new QHBoxLayout;
    m_phase = new Text({}, TextRole::Body);
    m_phase->setObjectName("deployPhaseLabel");
    m_cancel = plainButton(tr("Cancel"), "deployCancelButton");
    line->addWidget(m_phase, 1);
    line->addWidget(m_cancel);
    m_progress->box()->addLayout(line);
    m_progress->hide();
    return m_progress;
}

QWidget* DeployPlace::createProof()
{
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
    return m_proof;
}

void DeployPlace::createLayout()
{
    auto* empty = new EmptyState(
        "document-export", tr("A finished run or a model is needed"),
        tr("What you trained leaves here as a folder that other programs open, with a proof that "
           "it answers as it did."));
    auto* toRuns = primaryButton(tr("Go to the runs"), "deployToRunsButton");
    empty->setButton(toRuns);
    connect(toRuns, &QPushButton::clicked, this, [this] { m_session.go("runs"); });
    m_source = new QComboBox(this);
    m_source->setObjectName("deployRunCombo");
    m_source->setAccessibleName(tr("Run or original to take away"));
    m_source->setMinimumContentsLength(22);
    addTool(m_source);

    auto* content = new QWidget;
    auto* box = new QVBoxLayout(content);
    box->setContentsMargins(0, 4, 4, 0);
    box->setSpacing(Theme::instance().px(16));
    auto* tiles = new QGridLayout;
    createTiles(tiles);
    box->addLayout(tiles);
    box->addWidget(createNumbers());
    box->addWidget(createProgress());
    box->addWidget(createProof());
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

} // namespace fettle::ui
