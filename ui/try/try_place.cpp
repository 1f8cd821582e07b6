#include "ui/try/try_place.h"

#include "ui/settings/preferences.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"

#include <QButtonGroup>
#include <QDoubleSpinBox>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QPlainTextEdit>
#include <QTextBrowser>

namespace fettle::ui {

TryPlace::TryPlace(Session& session, QWidget* parent)
    : Place(session, "try", tr("Try"), parent)
{
    createLayout();
    connectSignals();
    refreshModels();
}

void TryPlace::createLayout()
{
    auto* empty = new EmptyState(
        "dialog-messages", tr("Ask the original and the tuned model here"),
        tr("There is no model in this workspace yet. Add one, or train one from your examples."));
    auto* toData = primaryButton(tr("Choose examples"), "tryToDataButton");
    empty->setButton(toData);
    connect(toData, &QPushButton::clicked, this, [this] { m_session.go("data"); });

    auto* group = new QButtonGroup(this);
    for (int n = 1; n <= 3; ++n) {
        auto* button = toolButton({}, tr("%n model(s) side by side", nullptr, n),
                                  QStringLiteral("tryColumns_%1").arg(n), this);
        button->setText(QString::number(n));
        button->setToolButtonStyle(Qt::ToolButtonTextOnly);
        button->setCheckable(true);
        button->setChecked(n == 2);
        group->addButton(button, n);
        addTool(button);
    }
    addTool(new Text(tr("models"), TextRole::Body, Ink::Second, this));
    connect(group, &QButtonGroup::idClicked, this, &TryPlace::setColumns);

    auto* full = new QWidget;
    auto* box = new QVBoxLayout(full);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(12));
    m_question = new Text({}, TextRole::Body, Ink::Second);
    m_question->setObjectName("tryQuestionShown");
    m_question->setWordWrap(true);
    m_question->setMaximumHeight(Theme::instance().px(76));
    m_question->hide();
    box->addWidget(m_question);
    auto* columns = new QHBoxLayout;
    columns->setSpacing(Theme::instance().px(16));
    for (int i = 0; i < 3; ++i) {
        m_columns.push_back(new TryColumn(i));
        columns->addWidget(m_columns.back(), 1);
        connect(m_columns.back(), &TryColumn::modelChanged, this, &TryPlace::loadSuggestions);
        connect(m_columns.back(), &TryColumn::saveWanted, this,
                [this, i](data::Split split) { saveRow(i, split); });
    }
    m_columns[2]->hide();
    box->addLayout(columns, 1);
    box->addWidget(createFoot());
    setPages(empty, nullptr, full);
}

QWidget* TryPlace::createFoot()
{
    auto* foot = new QWidget;
    auto* box = new QVBoxLayout(foot);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(8));
    m_suggestionRow = new QWidget;
    auto* row = new QHBoxLayout(m_suggestionRow);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(8);
    box->addWidget(m_suggestionRow);
    auto* line = new QHBoxLayout;
    line->setSpacing(Theme::instance().px(12));
    m_edit = new QPlainTextEdit;
    m_edit->setObjectName("tryQuestionEdit");
    m_edit->setAccessibleName(tr("Question"));
    m_edit->setAccessibleDescription(
        tr("Enter asks, Shift+Enter starts a new line; empty asks the first suggestion"));
    m_edit->setPlaceholderText(tr("Ask something. Enter asks, Shift+Enter starts a new line."));
    m_edit->setFixedHeight(Theme::instance().px(64));
    m_edit->setTabChangesFocus(true);
    m_edit->installEventFilter(this);
    auto* variation = new QVBoxLayout;
    variation->setSpacing(2);
    auto* label = new Text(tr("Variation"), TextRole::Small, Ink::Second);
    m_variation = new QDoubleSpinBox;
    m_variation->setObjectName("tryVariationSpin");
    m_variation->setAccessibleName(tr("Variation, 0 to 2"));
    m_variation->setRange(0, 2);
    m_variation->setSingleStep(0.1);
    m_variation->setDecimals(1);
    m_variation->setToolTip(wordTip("variation"));
    label->setBuddy(m_variation);
    variation->addWidget(label);
    variation->addWidget(m_variation);
    m_ask = primaryButton(tr("Ask"), "tryAskButton");
    m_stop = plainButton(tr("Stop"), "tryStopButton", "media-playback-stop");
    m_stop->hide();
    line->addWidget(m_edit, 1);
    line->addLayout(variation);
    line->addWidget(m_stop, 0, Qt::AlignBottom);
    line->addWidget(m_ask, 0, Qt::AlignBottom);
    box->addLayout(line);
    return foot;
}

void TryPlace::connectSignals()
{
    connect(m_ask, &QPushButton::clicked, this, &TryPlace::ask);
    connect(m_stop, &QPushButton::clicked, this, [this] {
        if (m_job)
            m_job->requestStop();
    });
    connect(&m_session, &Session::modelsChanged, this, &TryPlace::refreshModels);
    connect(&m_session, &Session::runsChanged, this, &TryPlace::refreshModels);
    connect(&m_session, &Session::datasetsChanged, this, &TryPlace::loadSuggestions);
    addPlaceAction(tr("Stop answering"), "actionTryStop", QKeySequence(Qt::Key_Escape), [this] {
        if (m_job)
            m_job->requestStop();
    });
    addPlaceAction(tr("Save the answer as a training row"), "actionTrySave", QKeySequence("Ctrl+R"),
                   [this] { saveRow(m_columns[1]->isVisible() ? 1 : 0, data::Split::Train); });
}

bool TryPlace::eventFilter(QObject* object, QEvent* event)
{
    if (object == m_edit && event->type() == QEvent::KeyPress) {
        const auto* key = static_cast<QKeyEvent*>(event);
        const bool enter = key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter;
        if (enter && !(key->modifiers() & (Qt::ShiftModifier | Qt::ControlModifier))) {
            ask();
            return true;
        }
        if (key->key() == Qt::Key_Up && m_edit->toPlainText().isEmpty() && !m_history.isEmpty()) {
            m_edit->setPlainText(m_history.last());
            return true;
        }
    }
    return Place::eventFilter(object, event);
}

void TryPlace::setColumns(int columns)
{
    for (int i = 0; i < 3; ++i)
        m_columns[static_cast<std::size_t>(i)]->setVisible(i < columns);
}

void TryPlace::activate(const QString& argument)
{
    if (!argument.isEmpty())
        m_wantedRun = argument;
    m_choosing = !argument.isEmpty() || !m_chosen;
    if (m_choosing)
        clearShown();
    refreshModels();
    m_edit->setFocus(Qt::OtherFocusReason);
}

} // namespace fettle::ui
