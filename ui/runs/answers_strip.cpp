#include "ui/runs/answers_strip.h"

#include "ui/text/word_diff.h"
#include "ui/text/words.h"

#include <QButtonGroup>
#include <QHBoxLayout>
#include <QScrollBar>
#include <QTextBrowser>
#include <QVBoxLayout>

namespace fettle::ui {

AnswersStrip::AnswersStrip(QWidget* parent)
    : QWidget(parent)
    , m_steps(new QWidget(this))
    , m_group(new QButtonGroup(this))
    , m_text(new QTextBrowser(this))
    , m_hint(new Text({}, TextRole::Small, Ink::Second, this))
{
    setObjectName("runsAnswersStrip");
    auto* steps = new QHBoxLayout(m_steps);
    steps->setContentsMargins(0, 0, 0, 0);
    steps->setSpacing(4);
    m_text->setObjectName("runsAnswersText");
    m_text->setAccessibleName(tr("Answers to the fixed questions at the chosen step"));
    m_text->setOpenLinks(false);
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(0, 12, 0, 0);
    box->setSpacing(8);
    auto* head = new QHBoxLayout;
    head->addWidget(m_steps);
    head->addStretch(1);
    head->addWidget(m_hint);
    box->addLayout(head);
    box->addWidget(m_text, 1);
    connect(&Theme::instance(), &Theme::changed, this, &AnswersStrip::render);
    connect(m_group, &QButtonGroup::idClicked, this, [this](int step) {
        m_step = step;
        render();
    });
}

void AnswersStrip::load(const RunDetails& details)
{
    m_prompts.clear();
    m_answers.clear();
    for (const Json& prompt : details.record.extra.value("prompts", Json::array()))
        m_prompts.emplace_back(qs(prompt.value("question", std::string())),
                               qs(prompt.value("answer", std::string())));
    for (const jobs::SampleDone& sample : details.samples)
        m_answers[sample.step][sample.prompt] = qs(sample.answer);
    m_step = m_answers.empty() ? -1 : m_answers.rbegin()->first;
    refreshSteps();
    render();
}

void AnswersStrip::add(const jobs::SampleDone& sample)
{
    const bool follows = m_answers.empty() || m_step == m_answers.rbegin()->first;
    const bool fresh = !m_answers.contains(sample.step);
    m_answers[sample.step][sample.prompt] = qs(sample.answer);
    if (follows)
        m_step = sample.step;
    if (fresh)
        refreshSteps();
    if (m_step == sample.step)
        render();
}

void AnswersStrip::refreshSteps()
{
    clearLayout(m_steps->layout());
    // At most a dozen on the strip: the first, the last and evenly between.
    std::vector<std::int64_t> steps;
    for (const auto& [step, answers] : m_answers)
        steps.push_back(step);
    constexpr std::size_t kShown = 10;
    std::vector<std::int64_t> shown;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps.size() <= kShown || i == 0 || i + 1 == steps.size() ||
            i * (kShown - 1) / (steps.size() - 1) != (i - 1) * (kShown - 1) / (steps.size() - 1))
            shown.push_back(steps[i]);
    }
    for (const std::int64_t step : shown) {
        auto* button = new QToolButton(m_steps);
        button->setText(step == 0 ? tr("before") : tr("step %1").arg(count(step)));
        button->setAccessibleName(tr("Answers at step %1").arg(count(step)));
        button->setObjectName(QStringLiteral("runsAnswerStep_%1").arg(step));
        button->setCheckable(true);
        button->setAutoRaise(true);
        button->setFocusPolicy(Qt::StrongFocus);
        m_group->addButton(button, static_cast<int>(step));
        m_steps->layout()->addWidget(button);
    }
}

void AnswersStrip::render()
{
    if (QAbstractButton* button = m_group->button(static_cast<int>(m_step)))
        button->setChecked(true);
    const Colours& c = colours();
    if (m_answers.empty()) {
        m_hint->setText({});
        m_text->setHtml(QStringLiteral("<p style='color:%1'>%2</p>")
                            .arg(c.secondText.name(),
                                 tr("Answers to a few checking rows appear here at each check.")));
        return;
    }
    m_hint->setText(m_answers.size() > 1 ? tr("marked: what changed since the first answers")
                                         : QString());
    const auto& first = m_answers.begin()->second;
    const auto now = m_answers.find(m_step);
    if (now == m_answers.end())
        return;
    const int scroll = m_text->verticalScrollBar()->value();
    QString html;
    const auto label = [&](const QString& words) {
        return QStringLiteral("<div style='color:%1;margin-top:6px'>%2</div>")
            .arg(c.secondText.name(), words);
    };
    for (const auto& [prompt, answer] : now->second) {
        const auto index = static_cast<std::size_t>(prompt);
        if (!html.isEmpty())
            html += "<hr>";
        if (index < m_prompts.size()) {
            QString question = m_prompts[index].first;
            if (question.size() > 600)
                question = question.left(600) + QStringLiteral(" …");
            html += label(tr("question")) + "<div>" +
                    question.toHtmlEscaped().replace('\n', "<br>") + "</div>";
            html += label(tr("wanted")) + "<div>" +
                    m_prompts[index].second.toHtmlEscaped().replace('\n', "<br>") + "</div>";
        }
        const auto before = first.find(prompt);
        const bool changed = before != first.end() && m_step != m_answers.begin()->first;
        html += label(tr("answer at step %1").arg(count(m_step))) + "<div><b>" +
                (changed ? diffHtml(wordDiff(before->second, answer), false)
                         : answer.toHtmlEscaped().replace('\n', "<br>")) +
                "</b></div>";
    }
    m_text->setHtml(html);
    m_text->verticalScrollBar()->setValue(scroll);
}

} // namespace fettle::ui
