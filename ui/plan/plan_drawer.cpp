#include "ui/plan/plan_drawer.h"

#include "recipes/settings.h"
#include "ui/theme/style.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/spec_form.h"

#include <QHBoxLayout>
#include <QLineEdit>
#include <QPainter>
#include <QVBoxLayout>

namespace fettle::ui {

PlanDrawer::PlanDrawer(QWidget* parent)
    : QWidget(parent)
    , m_search(new QLineEdit(this))
{
    setObjectName("planDrawer");
    m_search->setObjectName("planSearchEdit");
    m_search->setAccessibleName(tr("Find a setting"));
    m_search->setPlaceholderText(tr("Find a setting"));
    m_search->addAction(icon("edit-find", Ink::Second), QLineEdit::LeadingPosition);
    m_search->setClearButtonEnabled(true);
    std::vector<const ParamSpec*> all;
    for (const ParamSpec& spec : recipes::trainingSettings())
        all.push_back(&spec);
    m_form = new SpecForm(all, "planAll_", {}, 2, true);
    auto* head = new QHBoxLayout;
    head->addWidget(new Text(tr("All settings"), TextRole::Section, Ink::Text, this));
    head->addStretch(1);
    m_search->setFixedWidth(Theme::instance().px(240));
    head->addWidget(m_search);
    auto* close = plainButton(tr("Back to the plan"), "planDrawerClose", "go-previous", this);
    head->addWidget(close);
    auto* inner = new QWidget;
    auto* pad = new QVBoxLayout(inner);
    pad->setContentsMargins(4, 4, 16, 16);
    pad->addWidget(m_form);
    pad->addStretch(1);
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(Theme::instance().px(12));
    box->addLayout(head);
    box->addWidget(scrolled(inner, "planDrawerScroll"), 1);
    connect(m_search, &QLineEdit::textChanged, m_form, &SpecForm::setFilter);
    connect(m_form, &SpecForm::edited, this, &PlanDrawer::edited);
    connect(close, &QPushButton::clicked, this, &PlanDrawer::closed);
}

void PlanDrawer::load(const ParamValues& values) { m_form->load(values); }

void PlanDrawer::find(const QString& words)
{
    m_search->setText(words);
    m_search->setFocus();
}

MemoryBar::MemoryBar(QWidget* parent)
    : QWidget(parent)
{
    setObjectName("planForecastBar");
    setFixedHeight(10);
}

void MemoryBar::set(std::uint64_t needed, std::uint64_t available)
{
    m_part = available > 0 ? static_cast<double>(needed) / static_cast<double>(available) : 0;
    setAccessibleName(tr("Memory: %1 per cent of what is free").arg(qRound(m_part * 100)));
    update();
}

void MemoryBar::paintEvent(QPaintEvent*)
{
    const Colours& c = colours();
    QPainter painter(this);
    roundedRect(&painter, rect(), c.hairline(), c.highContrast ? c.text : QColor(), 5);
    QRect filled = rect();
    filled.setWidth(qRound(filled.width() * qBound(0.0, m_part, 1.0)));
    if (filled.width() > 4)
        roundedRect(&painter, filled,
                    m_part > 1      ? c.error
                    : m_part > 0.85 ? c.warning
                                    : c.accent,
                    {}, 5);
}

} // namespace fettle::ui
