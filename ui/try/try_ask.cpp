// Who answers, what is suggested, and asking.
#include "ui/text/words.h"
#include "ui/try/try_place.h"

#include <QDoubleSpinBox>
#include <QFontMetrics>
#include <QHBoxLayout>
#include <QPlainTextEdit>
#include <algorithm>

namespace fettle::ui {

namespace {

constexpr int kSuggestions = 4;
constexpr qsizetype kShownQuestion = 400;

bool canAnswer(const store::RunRecord& run)
{
    return run.bestStep > 0 || run.status == store::RunStatus::Finished ||
           run.status == store::RunStatus::Stopped;
}

} // namespace

void TryPlace::refreshModels()
{
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            return std::pair{workspace->models(), workspace->runs()};
        },
        [this](auto&& found) {
            m_models = std::move(found.first);
            m_runs.clear();
            for (const auto& run : found.second) {
                if (canAnswer(run) && !m_session.runJob(run.id))
                    m_runs.push_back(run);
            }
            for (TryColumn* column : m_columns)
                column->setModels(m_models, m_runs);
            setState(m_models.empty() ? PlaceState::Empty : PlaceState::Full);
            m_choosing = false;
            const auto wanted = std::ranges::find_if(
                m_runs, [this](const auto& r) { return qs(r.id) == m_wantedRun; });
            if (wanted != m_runs.end()) {
                chooseRun(*wanted);
                m_wantedRun.clear();
            } else if (!m_chosen && !m_runs.empty()) {
                chooseRun(m_runs.front());
            }
            loadSuggestions();
        });
}

void TryPlace::chooseRun(const store::RunRecord& run)
{
    m_chosen = true;
    m_columns[0]->choose(qs(run.model));
    m_columns[1]->choose("run:" + QString::number(run.number));
    clearShown();
    setSubtitle(tr("Run %1 beside the original").arg(count(run.number)));
}

void TryPlace::clearShown()
{
    for (TryColumn* column : m_columns)
        column->clearAnswer();
    m_question->hide();
    m_suggested.clear();
    clearLayout(m_suggestionRow->layout());
}

void TryPlace::loadSuggestions()
{
    if (m_choosing)
        return;
    const int generation = ++m_generation;
    // The checking rows of the run's own examples: the test rows stay unopened.
    std::string dataset;
    for (TryColumn* column : m_columns) {
        for (const auto& run : m_runs) {
            if (dataset.empty() && column->model() == "run:" + QString::number(run.number))
                dataset = run.dataset;
        }
    }
    m_session.later(
        this,
        [workspace = m_session.workspace(), dataset]() mutable {
            std::vector<Suggestion> out;
            if (dataset.empty()) {
                const auto all = workspace->datasets();
                dataset = all.empty() ? std::string() : all.front().name;
            }
            auto opened = dataset.empty() ? Result<std::shared_ptr<store::Dataset>>(Error{})
                                          : workspace->dataset(dataset);
            if (!opened)
                return std::pair{out, dataset};
            store::RowFilter filter;
            filter.split = data::Split::Validation;
            const std::string instruction =
                (*opened)->importInfo().value("instruction", std::string());
            recipes::Encoder encoder;
            encoder.instruction = instruction;
            std::vector<store::DatasetRow> rows = (*opened)->rows(filter, 0, kSuggestions);
            if (!rows.empty() && rows.front().example.kind == data::RecordKind::Labelled) {
                for (const auto& row : (*opened)->rows({}, 0, 5000))
                    encoder.labels.push_back(row.example.label);
                std::ranges::sort(encoder.labels);
                encoder.labels.erase(std::ranges::unique(encoder.labels).begin(),
                                     encoder.labels.end());
            }
            for (const auto& row : rows) {
                Suggestion s{qs(askedText(row.example)), {}, row.example.tools, instruction};
                if (row.example.kind == data::RecordKind::Completion) {
                    s.messages = {OrderedJson{{"role", "user"}, {"content", row.example.prompt}}};
                } else {
                    s.messages = encoder.conversation(row.example);
                    if (!s.messages.empty() &&
                        s.messages.back().value("role", std::string()) == "assistant")
                        s.messages.pop_back();
                }
                out.push_back(std::move(s));
            }
            return std::pair{out, dataset};
        },
        [this, generation](auto&& found) {
            if (generation != m_generation || m_choosing)
                return;
            m_dataset = qs(found.second);
            showSuggestions(std::move(found.first));
        });
}

void TryPlace::showSuggestions(std::vector<Suggestion>&& suggestions)
{
    // The same rows as before stay as they are: a button is not exchanged under somebody's finger.
    const bool same =
        std::ranges::equal(suggestions, m_suggested, {}, &Suggestion::words, &Suggestion::words);
    if (same && !m_suggested.empty()) {
        m_suggested = std::move(suggestions);
        return;
    }
    m_suggested = std::move(suggestions);
    clearLayout(m_suggestionRow->layout());
    auto* row = static_cast<QHBoxLayout*>(m_suggestionRow->layout());
    if (m_suggested.empty())
        return;
    row->addWidget(
        new Text(tr("From the checking rows, not learned:"), TextRole::Small, Ink::Second));
    int index = 0;
    for (const Suggestion& s : m_suggested) {
        auto* button = plainButton({}, QStringLiteral("trySuggestion_%1").arg(index));
        QString words = s.words.simplified();
        button->setToolTip(words.left(600));
        button->setAccessibleName(words.left(200));
        words = button->fontMetrics().elidedText(words, Qt::ElideRight, Theme::instance().px(150));
        button->setText(words.replace('&', "&&"));
        connect(button, &QPushButton::clicked, this,
                [this, index] { askSuggestion(static_cast<std::size_t>(index)); });
        row->addWidget(button);
        ++index;
    }
    row->addStretch(1);
}

void TryPlace::ask()
{
    const QString words = m_edit->toPlainText().trimmed();
    if (words.isEmpty()) {
        if (!m_suggested.empty())
            askSuggestion(0);
        return;
    }
    std::vector<OrderedJson> messages;
    // The standing instruction belongs to the examples; without it the tuned model hears something
    // new.
    if (!m_suggested.empty() && !m_suggested.front().messages.empty() &&
        m_suggested.front().messages.front().value("role", std::string()) == "system")
        messages.push_back(m_suggested.front().messages.front());
    messages.push_back({{"role", "user"}, {"content", ss(words)}});
    m_history << words;
    m_edit->clear();
    run(messages, nullptr, words);
}

void TryPlace::askSuggestion(std::size_t index)
{
    if (index < m_suggested.size())
        run(m_suggested[index].messages, m_suggested[index].tools, m_suggested[index].words);
}

void TryPlace::run(const std::vector<OrderedJson>& messages, const OrderedJson& tools,
                   const QString& shown)
{
    if (m_job) {
        m_job->requestStop();
        return;
    }
    m_lastQuestion = shown;
    m_question->setText(
        shown.size() > kShownQuestion ? shown.left(kShownQuestion) + QStringLiteral(" …") : shown);
    m_question->show();
    m_asked.clear();
    std::vector<std::string> models;
    const QString waiting =
        m_session.isTraining() ? tr("waits until the run has ended") : tr("loading the model …");
    for (std::size_t i = 0; i < m_columns.size(); ++i) {
        if (!m_columns[i]->isVisibleTo(this) || m_columns[i]->model().isEmpty())
            continue;
        models.push_back(ss(m_columns[i]->model()));
        m_asked.push_back(static_cast<int>(i));
        m_columns[i]->beginWaiting(waiting);
    }
    recipes::GenerateOptions options;
    options.temperature = m_variation->value();
    options.maxNewTokens = 256;
    m_job = m_session.submit(
        recipes::makeAnswerJob(m_session.workspace(), models, messages, options, tools));
    connect(m_job, &JobBridge::happened, this, [this](const jobs::Event& event) {
        if (const auto* piece = std::get_if<jobs::TextPiece>(&event)) {
            const auto stream = static_cast<std::size_t>(piece->stream);
            if (stream < m_asked.size())
                m_columns[static_cast<std::size_t>(m_asked[stream])]->addPiece(qs(piece->text));
        }
    });
    connect(m_job, &JobBridge::ended, this, &TryPlace::ended);
    refreshAskButton();
}

void TryPlace::ended(const jobs::Event& end)
{
    m_job = nullptr;
    refreshAskButton();
    if (const auto* failed = std::get_if<jobs::Failed>(&end)) {
        for (const int column : m_asked)
            m_columns[static_cast<std::size_t>(column)]->fail(sentence(failed->error));
        return;
    }
    const Json* result = nullptr;
    if (const auto* finished = std::get_if<jobs::Finished>(&end))
        result = &finished->result;
    else if (const auto* stopped = std::get_if<jobs::Stopped>(&end))
        result = &stopped->result;
    const Json answers = result ? result->value("answers", Json::array()) : Json::array();
    for (std::size_t i = 0; i < m_asked.size(); ++i) {
        TryColumn* column = m_columns[static_cast<std::size_t>(m_asked[i])];
        if (i >= answers.size()) {
            column->finish(column->answer(), {}, tr("stopped"));
            continue;
        }
        const Json& answer = answers[i];
        const double seconds = answer.value("seconds", 0.0);
        const auto tokens = answer.value("tokens", std::int64_t{0});
        QString facts = tr("%n word piece(s)", nullptr, static_cast<int>(tokens));
        if (seconds > 0)
            facts += tr(" · %1 per second").arg(number(static_cast<double>(tokens) / seconds));
        const std::string by = answer.value("stoppedBy", std::string());
        if (by == "length")
            facts += tr(" · cut at the longest length");
        else if (by == "person")
            facts += tr(" · stopped");
        column->finish(qs(answer.value("text", std::string())),
                       qs(answer.value("fingerprint", std::string())), facts);
    }
    if (m_asked.size() > 1)
        m_columns[static_cast<std::size_t>(m_asked[1])]->mark(
            m_columns[static_cast<std::size_t>(m_asked[0])]->answer());
}

void TryPlace::refreshAskButton()
{
    m_stop->setVisible(m_job != nullptr);
    m_ask->setEnabled(m_job == nullptr);
}

void TryPlace::saveRow(int column, data::Split split)
{
    const QString answer = m_columns[static_cast<std::size_t>(column)]->answer();
    if (answer.isEmpty() || m_dataset.isEmpty())
        return;
    data::Example example;
    example.kind = data::RecordKind::Chat;
    example.messages = {{{"role", "user"}, {"content", ss(m_lastQuestion)}},
                        {{"role", "assistant"}, {"content", ss(answer)}}};
    example.source = "try";
    m_session.later(
        this,
        [workspace = m_session.workspace(), name = ss(m_dataset), example,
         split]() -> Result<std::int64_t> {
            auto dataset = workspace->dataset(name);
            if (!dataset)
                return dataset.error();
            return (*dataset)->add(example, split);
        },
        [this](Result<std::int64_t>&& added) {
            if (!added) {
                messages()->show(MessageBar::Kind::Error, sentence(added.error()));
                return;
            }
            messages()->show(MessageBar::Kind::Good, tr("Saved as a row of %1.").arg(m_dataset),
                             tr("Open the rows"), [this] { m_session.go("data", m_dataset); });
            Q_EMIT m_session.datasetsChanged();
        });
}

} // namespace fettle::ui
