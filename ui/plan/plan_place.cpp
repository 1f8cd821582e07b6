#include "ui/plan/plan_place.h"

#include "ui/plan/plan_drawer.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"
#include "ui/widgets/spec_form.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QVBoxLayout>

namespace fettle::ui {

namespace {

/// The settings of level two that have names of their own; others are called planSetting_<key>.
const std::map<std::string, QString>& basicNames()
{
    static const std::map<std::string, QString> names{{"training.passes", "planPassesSpin"},
                                                      {"training.learningRate", "planRateSpin"},
                                                      {"training.batchSize", "planRowsPerStepSpin"},
                                                      {"training.maxLength", "planLongestSpin"},
                                                      {"lora.rank", "planAddonSizeSpin"},
                                                      {"sft.lossOn", "planTaughtCombo"},
                                                      {"checks.everySteps", "planCheckEverySpin"},
                                                      {"checks.earlyStop", "planStopCheck"}};
    return names;
}

Text* priceRow(QVBoxLayout* box, const QString& label, const QString& name)
{
    auto* row = new QHBoxLayout;
    row->addWidget(new Text(label, TextRole::Body, Ink::Second));
    row->addStretch(1);
    auto* value = new Text(QStringLiteral("–"), TextRole::Group);
    value->setObjectName(name);
    row->addWidget(value);
    box->addLayout(row);
    return value;
}

} // namespace

PlanPlace::PlanPlace(Session& session, QWidget* parent)
    : Place(session, "plan", tr("Plan"), parent)
{
    createTools();
    createLayout();
    connectSignals();
    refreshChoices();
}

void PlanPlace::createTools()
{
    auto* copy = plainButton(tr("Copy from run"), "planCopyButton", "edit-copy", this);
    copy->setToolTip(tr("Take over the settings of an earlier run"));
    auto* command = plainButton(tr("Command"), "planCommandButton", "dialog-scripts", this);
    command->setToolTip(tr("The same plan as a command for a terminal"));
    addTool(copy);
    addTool(command);
    connect(copy, &QPushButton::clicked, this, &PlanPlace::copyFromRun);
    connect(command, &QPushButton::clicked, this, &PlanPlace::showCommand);
}

void PlanPlace::createLayout()
{
    auto* empty = new EmptyState(
        "view-calendar-list", tr("Choose examples first"),
        tr("A plan says what the model learns from, how, and what that costs before you start."));
    auto* toData = primaryButton(tr("Choose examples"), "planToDataButton");
    empty->setButton(toData);
    connect(toData, &QPushButton::clicked, this, [this] { m_session.go("data"); });

    auto* plan = new QWidget;
    auto* box = new QVBoxLayout(plan);
    box->setContentsMargins(0, 0, 4, 0);
    box->setSpacing(Theme::instance().px(16));
    auto* columns = new QHBoxLayout;
    columns->setSpacing(Theme::instance().px(16));
    columns->addWidget(createWhat(), 5);
    columns->addWidget(createHow(), 8);
    columns->addWidget(createPrice(), 5);
    box->addLayout(columns);
    m_checkCard = new Card(plan, Card::Kind::Sunken);
    m_checkCard->setObjectName("planCheckList");
    m_checkCard->box()->setContentsMargins(16, 10, 16, 10);
    m_checks = new QVBoxLayout;
    m_checks->setSpacing(6);
    m_checkCard->box()->addLayout(m_checks);
    box->addWidget(m_checkCard);
    box->addStretch(1);

    m_drawer = new PlanDrawer;
    auto* full = new QWidget;
    auto* page = new QVBoxLayout(full);
    page->setContentsMargins(0, 4, 0, 0);
    auto* scroll = scrolled(plan, "planScroll");
    page->addWidget(scroll, 1);
    page->addWidget(m_drawer, 1);
    m_drawer->hide();
    QHBoxLayout* bottom = addBottomRow(page);
    m_sentence = new Text({}, TextRole::Body);
    m_sentence->setObjectName("planSentence");
    m_sentence->setWordWrap(true);
    m_start = primaryButton(tr("Start"), "planStartButton");
    m_start->setIcon(icon("media-playback-start", Ink::OnAccent));
    m_start->setEnabled(false);
    bottom->addWidget(m_sentence, 1);
    bottom->addWidget(m_start);
    connect(m_drawer, &PlanDrawer::closed, this, [this, scroll] {
        m_drawer->hide();
        scroll->show();
        m_all->setFocus();
    });
    connect(m_all, &QPushButton::clicked, this, [this, scroll] {
        scroll->hide();
        m_drawer->show();
        m_drawer->find({});
    });
    addPlaceAction(tr("All settings"), "actionPlanAll", QKeySequence("Ctrl+L"),
                   [this] { m_all->click(); });
    addPlaceAction(tr("Show as a command"), "actionPlanCommand", {}, [this] { showCommand(); });
    setPages(empty, nullptr, full);
}

QWidget* PlanPlace::createWhat()
{
    auto* card = new Card;
    card->addTitle(tr("What"));
    const auto field = [card](const QString& words, const QString& name, QComboBox*& combo) {
        auto* label = new Text(words, TextRole::Small, Ink::Second);
        combo = new QComboBox;
        combo->setObjectName(name);
        combo->setAccessibleName(words);
        combo->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
        combo->setMinimumContentsLength(10);
        label->setBuddy(combo);
        card->box()->addSpacing(4);
        card->box()->addWidget(label);
        card->box()->addWidget(combo);
    };
    field(tr("Examples"), "planDataCombo", m_data);
    m_dataFacts = new Text({}, TextRole::Small, Ink::Second);
    m_dataFacts->setWordWrap(true);
    card->box()->addWidget(m_dataFacts);
    field(tr("Goal"), "planGoalCombo", m_goal);
    m_goal->setToolTip(wordTip("goal"));
    field(tr("Original model"), "planModelCombo", m_model);
    m_model->setToolTip(wordTip("original"));
    m_modelFacts = new Text({}, TextRole::Small, Ink::Second);
    m_modelFacts->setWordWrap(true);
    card->box()->addWidget(m_modelFacts);
    card->box()->addStretch(1);
    return card;
}

QWidget* PlanPlace::createHow()
{
    auto* card = new Card;
    card->addTitle(tr("How"));
    auto* label = new Text(tr("Method"), TextRole::Small, Ink::Second);
    m_method = new QComboBox;
    m_method->setObjectName("planMethodCombo");
    m_method->setAccessibleName(tr("Method"));
    m_method->setToolTip(wordTip("method"));
    label->setBuddy(m_method);
    m_methodReason = new Text({}, TextRole::Small, Ink::Second);
    m_methodReason->setObjectName("planMethodReason");
    m_methodReason->setWordWrap(true);
    card->box()->addSpacing(4);
    card->box()->addWidget(label);
    card->box()->addWidget(m_method);
    card->box()->addWidget(m_methodReason);
    card->box()->addSpacing(6);
    std::vector<const ParamSpec*> basic;
    for (const ParamSpec& spec : recipes::trainingSettings()) {
        if (spec.basic || basicNames().contains(spec.key))
            basic.push_back(&spec);
    }
    m_basic = new SpecForm(basic, "planSetting_", basicNames(), 2, false);
    card->box()->addWidget(m_basic);
    card->box()->addStretch(1);
    auto* foot = new QHBoxLayout;
    m_all = quietButton(tr("All settings …"), "planAllButton");
    m_changed = new Text({}, TextRole::Small, Ink::Second);
    m_changed->setObjectName("planChangedList");
    m_reset = quietButton(tr("Back to the recommendation"), "planResetButton", "edit-undo");
    foot->addWidget(m_all);
    foot->addWidget(m_changed, 1);
    foot->addWidget(m_reset);
    card->box()->addLayout(foot);
    return card;
}

QWidget* PlanPlace::createPrice()
{
    auto* card = new Card;
    card->addTitle(tr("Price"));
    card->box()->addSpacing(4);
    m_time = new Text(QStringLiteral("–"), TextRole::Number);
    m_time->setObjectName("planTimeLabel");
    card->box()->addWidget(m_time);
    auto* kind = new QHBoxLayout;
    m_timeIcon = new IconLabel("measure", 16, Ink::Second);
    m_timeKind = new Text(tr("estimated"), TextRole::Small, Ink::Second);
    kind->addWidget(m_timeIcon);
    kind->addWidget(m_timeKind, 1);
    card->box()->addLayout(kind);
    card->box()->addSpacing(8);
    m_memory = priceRow(card->box(), tr("Memory"), "planMemoryLabel");
    m_memoryBar = new MemoryBar;
    card->box()->addWidget(m_memoryBar);
    card->box()->addSpacing(4);
    m_disk = priceRow(card->box(), tr("Disk"), "planDiskLabel");
    m_size = priceRow(card->box(), tr("Numbers that change"), "planSizeLabel");
    m_size->setToolTip(tr("How many numbers of the model may change; term: trainable parameters"));
    card->box()->addStretch(1);
    return card;
}

} // namespace fettle::ui
