#pragma once

#include "ui/runs/run_details.h"
#include "ui/widgets/basics.h"

class QButtonGroup;
class QTextBrowser;

namespace fettle::ui {

/// The run's fixed questions, answered along the way: choose a step, see what changed.
class AnswersStrip : public QWidget
{
    Q_OBJECT
public:
    explicit AnswersStrip(QWidget* parent = nullptr);

    void load(const RunDetails& details);
    void add(const jobs::SampleDone& sample);

private:
    void refreshSteps();
    void render();

    std::vector<std::pair<QString, QString>> m_prompts;                ///< question, wanted answer
    std::map<std::int64_t, std::map<std::int64_t, QString>> m_answers; ///< step -> prompt -> answer
    std::int64_t m_step = -1;
    QWidget* m_steps;
    QButtonGroup* m_group;
    QTextBrowser* m_text;
    Text* m_hint;
};

} // namespace fettle::ui
