// What the plan says and asks: choices, forms, start.
#include "methods/specs.h"
#include "ui/plan/plan_drawer.h"
#include "ui/plan/plan_place.h"
#include "ui/text/words.h"
#include "ui/widgets/ask.h"
#include "ui/widgets/spec_form.h"

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QHBoxLayout>
#include <QMenu>
#include <algorithm>

namespace fettle::ui {

namespace {

constexpr int kForecastDelay = 200; // ms: a change shows within 300 ms

void selectValue(QComboBox* combo, const Json& value)
{
    combo->setCurrentIndex(
        combo->findData(value.is_string() ? qs(value.get<std::string>()) : QString()));
}

} // namespace

void PlanPlace::connectSignals()
{
    m_timer.setSingleShot(true);
    m_timer.setInterval(kForecastDelay);
    connect(&m_timer, &QTimer::timeout, this, &PlanPlace::askForecast);
    for (const auto& [key, combo] :
         {std::pair{"method", m_method}, std::pair{"objective", m_goal}}) {
        const ParamSpec* spec = m_plan.settings.spec(key);
        for (std::size_t i = 0; spec && i < spec->choices.size(); ++i)
            combo->addItem(qs(spec->choiceLabels[i]), qs(spec->choices[i]));
        connect(combo, &QComboBox::activated, this, [this, key = std::string(key), combo] {
            if (auto done = m_plan.settings.set(key, ss(combo->currentData().toString())); !done)
                messages()->show(MessageBar::Kind::Error, sentence(done.error()));
            loadForms();
            showFits();
        });
    }
    connect(m_data, &QComboBox::activated, this, [this] {
        m_plan.dataset = ss(m_data->currentData().toString());
        chooseDefaults();
    });
    connect(m_model, &QComboBox::activated, this, [this] {
        m_plan.model = ss(m_model->currentData().toString());
        chooseDefaults();
    });
    connect(m_basic, &SpecForm::edited, this, [this](const QString& key) {
        const Json value = m_basic->editor(ss(key))->value();
        if (auto done = m_plan.settings.set(ss(key), value); !done)
            messages()->show(MessageBar::Kind::Error, sentence(done.error()));
        settingEdited(key);
    });
    connect(m_drawer, &PlanDrawer::edited, this, [this](const QString& key) {
        const Json value = m_drawer->form()->editor(ss(key))->value();
        if (auto done = m_plan.settings.set(ss(key), value); !done)
            messages()->show(MessageBar::Kind::Error, sentence(done.error()));
        settingEdited(key);
    });
    connect(m_reset, &QPushButton::clicked, this, [this] {
        m_plan.settings = ParamValues(recipes::trainingSettings());
        loadForms();
    });
    connect(m_start, &QPushButton::clicked, this, &PlanPlace::start);
    connect(&m_session, &Session::datasetsChanged, this, &PlanPlace::refreshChoices);
    connect(&m_session, &Session::modelsChanged, this, &PlanPlace::refreshChoices);
    connect(&m_session, &Session::jobsChanged, this, [this] {
        m_start->setText(m_session.isTraining() ? tr("Add to queue") : tr("Start"));
    });
    connect(&m_session, &Session::startFailed, this, [this] { m_starting = false; });
    connect(&m_session, &Session::runStarted, this, [this] { m_starting = false; });
    loadForms();
}

void PlanPlace::activate(const QString& argument)
{
    if (argument.startsWith("setting:")) {
        m_all->click();
        m_drawer->find(argument.mid(8));
        return;
    }
    if (argument.startsWith("recipe:"))
        takeRecipe(argument.mid(7));
    else if (!argument.isEmpty())
        m_plan.dataset = ss(argument);
    refreshChoices();
}

void PlanPlace::takeRecipe(const QString& idOrPath)
{
    ParamValues values(recipes::trainingSettings());
    const auto recipe = recipes::loadRecipe(ss(idOrPath));
    const auto set = recipe ? values.setAll(recipe->settings) : Result<void>(recipe.error());
    if (!set) {
        messages()->show(MessageBar::Kind::Error, sentence(set.error()));
        return;
    }
    m_plan.settings = values;
    loadForms();
}

void PlanPlace::refreshChoices()
{
    m_session.later(
        this,
        [workspace = m_session.workspace()] {
            return std::tuple{workspace->models(), workspace->datasets(),
                              workspace->preference("plan")};
        },
        [this](auto&& found) {
            auto& [models, datasets, kept] = found;
            m_models = std::move(models);
            m_datasets = std::move(datasets);
            m_filling = true;
            m_data->clear();
            for (const auto& record : m_datasets)
                m_data->addItem(qs(record.name), qs(record.name));
            m_model->clear();
            for (const auto& record : m_models)
                m_model->addItem(
                    QStringLiteral("%1 · %2").arg(qs(record.name), bytesText(record.bytes)),
                    qs(record.name));
            const auto has = [](const auto& list, const std::string& name) {
                return std::ranges::any_of(list, [&](const auto& r) { return r.name == name; });
            };
            if (m_plan.dataset.empty() && kept.is_object())
                m_plan.dataset = kept.value("dataset", std::string());
            if (m_plan.model.empty() && kept.is_object())
                m_plan.model = kept.value("model", std::string());
            if (!has(m_datasets, m_plan.dataset))
                m_plan.dataset = m_datasets.empty() ? std::string() : m_datasets.front().name;
            if (!has(m_models, m_plan.model))
                m_plan.model = m_models.empty() ? std::string() : m_models.front().name;
            m_data->setCurrentIndex(m_data->findData(qs(m_plan.dataset)));
            m_model->setCurrentIndex(m_model->findData(qs(m_plan.model)));
            showFits();
            m_filling = false;
            setState(m_datasets.empty() ? PlaceState::Empty : PlaceState::Full);
            chooseDefaults();
        });
}

void PlanPlace::chooseDefaults()
{
    setSubtitle(qs(m_plan.dataset));
    m_dataFacts->setText({});
    for (const auto& record : m_datasets) {
        if (record.name == m_plan.dataset)
            m_dataFacts->setText(tr("%1 training, %2 checking, %3 test rows")
                                     .arg(count(record.counts.train),
                                          count(record.counts.validation),
                                          count(record.counts.test)));
    }
    m_modelFacts->setText(m_models.empty() ? tr("There is no original in this workspace yet.")
                                           : QString());
    for (const auto& record : m_models) {
        if (record.name == m_plan.model && record.contextLength > 0 &&
            m_plan.settings.integer("training.maxLength") > record.contextLength) {
            // The model cannot read more; the change stands in the list of changed settings.
            if (auto done = m_plan.settings.set("training.maxLength", record.contextLength); done)
                loadForms();
        }
        if (record.name == m_plan.model)
            m_modelFacts->setText(
                parametersText(record.parameters) +
                (record.licence.empty() ? QString() : tr(" · licence %1").arg(qs(record.licence))));
    }
    if (m_models.empty() && !m_datasets.empty())
        messages()->show(MessageBar::Kind::Information,
                         tr("An original model is needed before a run can start."),
                         tr("Add a model"), [this] { m_session.go("settings", "models"); });
    else if (messages()->text() == tr("An original model is needed before a run can start."))
        messages()->clear();
    m_session.workspace()->setPreference("plan",
                                         {{"dataset", m_plan.dataset}, {"model", m_plan.model}});
    scheduleForecast();
}

void PlanPlace::settingEdited(const QString&) { loadForms(); }

void PlanPlace::loadForms()
{
    selectValue(m_method, m_plan.settings.value("method"));
    selectValue(m_goal, m_plan.settings.value("objective"));
    m_basic->load(m_plan.settings);
    m_drawer->load(m_plan.settings);
    showMethod();
    showChanged();
    scheduleForecast();
}

void PlanPlace::showMethod()
{
    for (const auto& spec : methods::methodSpecs()) {
        if (spec.id != m_plan.settings.text("method"))
            continue;
        m_methodReason->setText(qs(spec.help));
        for (SpecForm* form : {m_basic, m_drawer->form()}) {
            if (SpecEditor* editor = form->editor("training.learningRate"))
                editor->setZeroWords(tr("recommended: %1").arg(number(spec.learningRate)));
        }
    }
}

void PlanPlace::showChanged()
{
    QStringList names;
    for (const std::string& key : m_plan.settings.changed()) {
        if (const ParamSpec* spec = m_plan.settings.spec(key))
            names << tr("%1: %2").arg(qs(spec->label),
                                      specValueText(*spec, m_plan.settings.value(key)));
    }
    m_changed->setText(names.isEmpty() ? QString()
                                       : tr("%n changed", nullptr, static_cast<int>(names.size())));
    m_changed->setToolTip(names.join('\n'));
    m_reset->setVisible(!names.isEmpty());
}

void PlanPlace::start()
{
    if (m_starting)
        return;
    m_starting = true;
    m_start->setEnabled(false);
    m_session.startRun(m_plan);
}

QString PlanPlace::command() const
{
    QString text =
        QStringLiteral("fettle-cli --workspace \"%1\" train --model \"%2\" --data \"%3\"")
            .arg(qs(m_session.workspace()->folder().string()), qs(m_plan.model),
                 qs(m_plan.dataset));
    for (const std::string& key : m_plan.settings.changed()) {
        const Json value = m_plan.settings.value(key);
        std::string words = value.is_string() ? value.get<std::string>() : value.dump();
        if (value.is_array()) {
            words.clear();
            for (const Json& part : value)
                words += (words.empty() ? "" : ",") + part.get<std::string>();
        }
        text += QStringLiteral(" --set %1=%2").arg(qs(key), qs(words));
    }
    return text + QStringLiteral(" --seed %1").arg(m_plan.seed);
}

void PlanPlace::showCommand()
{
    QApplication::clipboard()->setText(command());
    messages()->show(MessageBar::Kind::Information, tr("Copied: %1").arg(command()));
}

void PlanPlace::copyFromRun()
{
    m_session.later(
        this, [workspace = m_session.workspace()] { return workspace->runs(); },
        [this](std::vector<store::RunRecord>&& runs) {
            if (runs.empty()) {
                messages()->show(MessageBar::Kind::Information,
                                 tr("There is no run yet to copy from."));
                return;
            }
            auto* menu = new QMenu(this);
            menu->setAttribute(Qt::WA_DeleteOnClose);
            for (std::size_t i = 0; i < std::min<std::size_t>(runs.size(), 15); ++i) {
                QAction* action =
                    menu->addAction(tr("Run %1: %2").arg(count(runs[i].number), qs(runs[i].name)));
                connect(action, &QAction::triggered, this, [this, run = runs[i]] {
                    ParamValues values(recipes::trainingSettings());
                    if (auto done = values.setAll(Json(run.settings)); !done) {
                        messages()->show(MessageBar::Kind::Error, sentence(done.error()));
                        return;
                    }
                    m_plan.settings = values;
                    m_plan.model = run.model;
                    m_plan.seed = run.seed;
                    loadForms();
                    refreshChoices();
                });
            }
            auto* button = findChild<QWidget*>("planCopyButton");
            menu->popup(button->mapToGlobal(QPoint(0, button->height())));
        });
}

} // namespace fettle::ui
