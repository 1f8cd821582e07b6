// How files become rows: on the pool, with progress and cancel, and the first look afterwards.
#include "ui/data/data_place.h"
#include "ui/text/words.h"
#include "ui/widgets/empty_state.h"

#include <QComboBox>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QPointer>
#include <QSet>

namespace fettle::ui {

namespace {

/// "letters", "letters 2", "letters 3": the first name that is free.
QString freeName(store::Workspace& workspace, const QString& wanted)
{
    QSet<QString> taken;
    for (const auto& record : workspace.datasets())
        taken.insert(qs(record.name));
    QString name = wanted;
    for (int i = 2; taken.contains(name); ++i)
        name = QStringLiteral("%1 %2").arg(wanted).arg(i);
    return name;
}

std::vector<std::filesystem::path> paths(const QStringList& files)
{
    std::vector<std::filesystem::path> out;
    for (const QString& file : files)
        out.emplace_back(ss(file));
    return out;
}

} // namespace

void DataPlace::importFiles(const QStringList& files, const data::ImportOptions& options)
{
    if (!files.isEmpty())
        runImport({files, options, {}, false});
}

DataPlace::Imported DataPlace::importNow(store::Workspace& workspace, const Import& import,
                                         const data::ImportProgress& progress, std::stop_token stop)
{
    Imported out;
    const auto files = paths(import.files);
    auto preview = data::previewImport(files, import.options);
    if (!preview) {
        out.error = preview.error();
        return out;
    }
    out.preview = *preview;
    out.name = import.name;
    const bool makes = !import.append;
    if (makes && out.name.isEmpty())
        out.name = freeName(workspace, QFileInfo(import.files.first()).completeBaseName());
    else if (makes) {
        // The same rows with other roles: the old reading goes to the bin.
        if (auto gone = workspace.removeDataset(ss(out.name)); !gone) {
            out.error = gone.error();
            return out;
        }
    }
    auto dataset = makes ? workspace.createDataset(ss(out.name)) : workspace.dataset(ss(out.name));
    if (!dataset) {
        out.error = dataset.error();
        return out;
    }
    auto report = (*dataset)->import(files, import.options, {}, progress, stop);
    if (!report) {
        out.error = report.error();
        if (makes) {
            dataset->reset();
            if (auto gone = workspace.removeDataset(ss(out.name)); !gone)
                out.error->what += "; the empty set stays";
        }
        return out;
    }
    out.report = *report;
    Json names = Json::array();
    for (const QString& file : import.files)
        names.push_back(ss(file));
    Json columns = preview->columns;
    workspace.setPreference("import/" + ss(out.name), {{"files", names},
                                                       {"columns", columns},
                                                       {"roles", report->roles},
                                                       {"format", preview->format},
                                                       {"form", preview->form},
                                                       {"rolesSure", preview->rolesSure}});
    return out;
}

void DataPlace::runImport(Import import)
{
    m_lastImport = import;
    m_stop = std::stop_source();
    messages()->clear();
    const QString file = QFileInfo(import.files.first()).fileName();
    m_loading->start(tr("Reading %1").arg(file));
    setState(PlaceState::Loading);
    const data::ImportProgress progress = [guard = QPointer<DataPlace>(this),
                                           file](std::int64_t rows, double fraction) {
        QMetaObject::invokeMethod(
            qApp,
            [guard, file, rows, fraction] {
                if (guard)
                    guard->m_loading->setProgress(tr("Reading %1: %2 rows").arg(file, count(rows)),
                                                  fraction);
            },
            Qt::QueuedConnection);
    };
    m_session.later(
        this,
        [workspace = m_session.workspace(), import, progress, stop = m_stop.get_token()] {
            return importNow(*workspace, import, progress, stop);
        },
        [this](Imported&& result) { imported(std::move(result)); });
}

void DataPlace::imported(Imported&& result)
{
    if (result.error) {
        setState(m_dataset ? PlaceState::Full : PlaceState::Empty);
        if (result.error->code == ErrorCode::Cancelled)
            messages()->show(MessageBar::Kind::Information,
                             tr("Cancelled; everything is as it was."));
        else
            messages()->show(MessageBar::Kind::Error, sentence(*result.error));
        refreshList();
        return;
    }
    m_fresh = !m_lastImport.append;
    const auto& report = result.report;
    if (!result.preview.rolesSure)
        messages()->show(
            MessageBar::Kind::Warning,
            tr("The columns are a guess. Check which one is the question and which the answer."));
    else if (report.badRowCount > 0)
        messages()->show(MessageBar::Kind::Warning,
                         tr("%n row(s) could not be read and were left out.", nullptr,
                            static_cast<int>(report.badRowCount)),
                         tr("Show them"), [this] { showBadRows(); });
    openDataset(result.name);
    Q_EMIT m_session.datasetsChanged();
    Q_EMIT news();
}

void DataPlace::rolesChanged()
{
    if (m_filling || m_lastImport.files.isEmpty() || m_lastImport.append)
        return;
    Import again = m_lastImport;
    again.name = m_name;
    again.options.roles[ss(m_questionRole->property("role").toString())] =
        ss(m_questionRole->currentText());
    again.options.roles[ss(m_answerRole->property("role").toString())] =
        ss(m_answerRole->currentText());
    runImport(again);
}

void DataPlace::showFirstLook(const std::vector<store::DatasetRow>& rows)
{
    clearLayout(m_lookBox);
    m_look->setVisible(m_fresh && !rows.empty());
    if (!m_look->isVisibleTo(m_look->parentWidget()))
        return;
    auto* head = new QHBoxLayout;
    head->addWidget(new Text(tr("Is this what you mean?"), TextRole::Group));
    head->addStretch(1);
    auto* hide = quietButton(tr("Hide"), "dataFirstLookHide");
    connect(hide, &QPushButton::clicked, m_look, &QWidget::hide);
    head->addWidget(hide);
    m_lookBox->addLayout(head);
    const auto shorter = [](const std::string& text) {
        QString words = qs(text).simplified();
        if (words.size() > 160)
            words = words.left(158) + QStringLiteral(" …");
        return words;
    };
    auto* columns = new QHBoxLayout;
    columns->setSpacing(Theme::instance().px(24));
    for (std::size_t i = 0; i < std::min<std::size_t>(3, rows.size()); ++i) {
        auto* pair = new QVBoxLayout;
        pair->setSpacing(2);
        for (const auto& [label, text] :
             {std::pair{tr("asked"), shorter(askedText(rows[i].example))},
              std::pair{tr("should answer"), shorter(data::answerOf(rows[i].example))}}) {
            pair->addWidget(new Text(label, TextRole::Small, Ink::Second));
            auto* words = new Text(text, TextRole::Body);
            words->setWordWrap(true);
            words->setAlignment(Qt::AlignTop);
            words->setMinimumWidth(120);
            pair->addWidget(words);
        }
        pair->addStretch(1);
        columns->addLayout(pair, 1);
    }
    m_lookBox->addLayout(columns);
}

void DataPlace::showHead(const Opened& facts)
{
    m_filling = true;
    const Json& source = facts.source;
    const bool columns = source.is_object() && source.contains("columns") &&
                         !source["columns"].empty() && m_undoName.isEmpty();
    const Json roles = facts.info.value("roles", Json::object());
    const std::string questionRole = roles.contains("text") ? "text" : "question";
    const std::string answerRole = roles.contains("label") ? "label" : "answer";
    const bool changeable = columns && roles.contains(questionRole) && roles.contains(answerRole);
    m_questionRole->setVisible(changeable);
    m_answerRole->setVisible(changeable);
    m_headBetween->setVisible(changeable);
    m_hasClasses = roles.contains("label");
    m_hasGroups = roles.contains("group");
    m_lastImport = {};
    if (changeable) {
        m_headBefore->setText(
            tr("%n row(s): the model is asked", nullptr, static_cast<int>(facts.counts.rows)));
        for (QComboBox* combo : {m_questionRole, m_answerRole}) {
            combo->clear();
            for (const Json& column : source["columns"])
                combo->addItem(qs(column.get<std::string>()));
        }
        m_questionRole->setProperty("role", qs(questionRole));
        m_answerRole->setProperty("role", qs(answerRole));
        m_questionRole->setCurrentText(qs(roles[questionRole].get<std::string>()));
        m_answerRole->setCurrentText(qs(roles[answerRole].get<std::string>()));
        for (const Json& file : source["files"])
            m_lastImport.files << qs(file.get<std::string>());
        m_lastImport.name = m_name;
    } else {
        m_headBefore->setText(
            tr("%n row(s) of questions and answers", nullptr, static_cast<int>(facts.counts.rows)));
    }
    QStringList after;
    if (source.is_object() && source.contains("format"))
        after << qs(source["format"].get<std::string>());
    if (facts.info.contains("encoding") && facts.info["encoding"].is_string())
        after << qs(facts.info["encoding"].get<std::string>());
    m_headAfter->setText(after.isEmpty() ? QString() : "· " + after.join(" · "));
    m_filling = false;
}

} // namespace fettle::ui
