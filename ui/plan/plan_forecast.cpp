// What the plan will cost and whether it can: the forecast, its problems, what fits this machine.
#include "recipes/model_facts.h"
#include "ui/plan/plan_drawer.h"
#include "ui/plan/plan_place.h"
#include "ui/text/words.h"

#include <QComboBox>
#include <QHBoxLayout>

namespace fettle::ui {

/// Beside each model whether the chosen method fits into the memory that is free.
void PlanPlace::showFits()
{
    const bool whole = m_plan.settings.text("method") == "full";
    m_session.later(
        this,
        [models = m_models, whole] {
            std::vector<std::pair<QString, std::optional<recipes::Fit>>> fits;
            for (const auto& record : models) {
                const auto facts = recipes::modelFacts(record);
                fits.emplace_back(qs(record.name),
                                  facts ? std::optional(whole ? facts->whole : facts->addOn)
                                        : std::nullopt);
            }
            return fits;
        },
        [this](std::vector<std::pair<QString, std::optional<recipes::Fit>>>&& fits) {
            using Level = recipes::Fit::Level;
            for (const auto& [name, fit] : fits) {
                const int at = m_model->findData(name);
                if (at < 0)
                    continue;
                const Level level = fit ? fit->level() : Level::TooLarge;
                m_model->setItemIcon(at, icon(level == Level::Fits    ? "data-success"
                                              : level == Level::Tight ? "data-warning"
                                                                      : "data-error"));
                const QString words =
                    !fit                   ? tr("its files cannot be read")
                    : level == Level::Fits ? tr("fits this machine")
                    : level == Level::Tight
                        ? tr("tight on this machine")
                        : tr("too large by %1").arg(bytesText(fit->needed - fit->available));
                m_model->setItemData(at, words, Qt::ToolTipRole);
            }
        });
}

void PlanPlace::scheduleForecast()
{
    ++m_generation;
    if (m_plan.dataset.empty() || m_plan.model.empty()) {
        m_start->setEnabled(false);
        m_sentence->setText({});
        m_checkCard->hide();
        return;
    }
    m_timer.start();
}

void PlanPlace::askForecast()
{
    const int generation = m_generation;
    m_session.later(
        this,
        [workspace = m_session.workspace(), plan = m_plan] {
            return recipes::forecast(*workspace, plan);
        },
        [this, generation](Result<recipes::Forecast>&& forecast) {
            if (generation == m_generation)
                showForecast(std::move(forecast));
        });
}

void PlanPlace::showForecast(Result<recipes::Forecast>&& forecast)
{
    if (!forecast) {
        showProblems({{true, ss(sentence(forecast.error()))}});
        m_sentence->setText({});
        return;
    }
    const recipes::Forecast& f = *forecast;
    m_time->setText((f.secondsMeasured ? QString() : QStringLiteral("≈ ")) +
                    durationText(f.seconds));
    m_timeKind->setText(f.secondsMeasured ? tr("measured on this machine") : tr("estimated"));
    m_timeKind->setInk(f.secondsMeasured ? Ink::Accent : Ink::Second);
    m_timeIcon->setIcon(f.secondsMeasured ? "speedometer" : "measure",
                        f.secondsMeasured ? Ink::Accent : Ink::Second);
    m_memory->setText(tr("≈ %1 of %2").arg(bytesText(f.memoryBytes), bytesText(f.memoryAvailable)));
    m_memoryBar->set(f.memoryBytes, f.memoryAvailable);
    m_disk->setText(tr("≈ %1").arg(bytesText(f.diskBytes)));
    m_disk->setToolTip(tr("%1 are free").arg(bytesText(f.diskAvailable)));
    m_size->setText(
        f.trainableParameters >= 1'000'000
            ? tr("%1 million").arg(number(static_cast<double>(f.trainableParameters) / 1e6))
            : count(f.trainableParameters));
    m_sentence->setText(qs(f.sentence));
    showProblems(f.problems);
}

void PlanPlace::showProblems(const std::vector<recipes::PlanProblem>& problems)
{
    clearLayout(m_checks);
    bool blocked = false;
    const auto line = [this](const QString& iconName, Ink ink, const QString& words,
                             const QString& button = {}) {
        auto* row = new QHBoxLayout;
        row->addWidget(new IconLabel(iconName, 16, ink));
        auto* text = new Text(words);
        text->setWordWrap(true);
        row->addWidget(text, 1);
        if (!button.isEmpty()) {
            auto* fix =
                quietButton(button, QStringLiteral("planFixButton_%1").arg(m_checks->count()));
            connect(fix, &QPushButton::clicked, this,
                    [this] { m_session.go("data", qs(m_plan.dataset)); });
            row->addWidget(fix);
        }
        m_checks->addLayout(row);
    };
    for (const auto& problem : problems) {
        blocked = blocked || problem.blocking;
        const bool aboutRows = problem.text.find("row") != std::string::npos;
        line(problem.blocking ? "data-error" : "data-warning",
             problem.blocking ? Ink::Error : Ink::Warning, qs(problem.text),
             aboutRows ? tr("Open the rows") : QString());
    }
    if (problems.empty())
        line("data-success", Ink::Good,
             tr("Nothing stands in the way: rows, memory and disk are enough."));
    m_checkCard->show();
    m_start->setEnabled(!blocked && !m_starting);
}

} // namespace fettle::ui
