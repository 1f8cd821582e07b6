// The text of the help. Settings and words come from their descriptions, not from here.
#include "recipes/settings.h"
#include "ui/help/help_place.h"
#include "ui/shell/rail.h"
#include "ui/text/words.h"
#include "ui/widgets/spec_form.h"

namespace fettle::ui {

namespace {

QString t(const char* text) { return QCoreApplication::translate("Help", text); }

QString page(const QString& title, const QStringList& paragraphs)
{
    QString html = "<h2>" + title + "</h2>";
    for (const QString& p : paragraphs)
        html += "<p style='line-height:140%'>" + p + "</p>";
    return html;
}

QString rows(const QList<std::pair<QString, QString>>& table)
{
    QString html = "<table cellpadding='5'>";
    for (const auto& [left, right] : table)
        html += "<tr><td><b>" + left.toHtmlEscaped() + "</b></td><td>" + right.toHtmlEscaped() +
                "</td></tr>";
    return html + "</table>";
}

QString keysPage()
{
    return page(t("Keys"), {}) +
           rows({{"Ctrl+1 … Ctrl+8", t("go to a place")},
                 {"Ctrl+,", t("settings")},
                 {"F1", t("help for the control with the focus")},
                 {"Ctrl+K", t("go to anything")},
                 {"Ctrl+O", t("open examples")},
                 {"Ctrl+Shift+O", t("open a workspace")},
                 {"Ctrl+Return", t("press the page's main button")},
                 {"Ctrl+F", t("filter")},
                 {"Ctrl+E", t("save a plot or table")},
                 {"Ctrl+Z, Ctrl+Shift+Z", t("undo, redo")},
                 {"F6", t("next area")},
                 {"Ctrl+L", t("Plan: all settings")},
                 {"J, K", t("Data: next and previous row")},
                 {"E, D, A, N", t("Data: edit, drop, accept a fix, next row with a warning")},
                 {t("Space"), t("Runs: pause or continue")},
                 {"Ctrl+T", t("Runs: try it")},
                 {"L, T, S, 0, +, −", t("plot: log axis, table, smoothing, fit, zoom")},
                 {t("Arrows"), t("plot: pan; with Ctrl: move the reading line")},
                 {t("Enter, Esc, Ctrl+R"), t("Try: ask, stop, save the answer as a row")}});
}

std::vector<HelpPage> placePages()
{
    return {
        {"lesson", t("A first lesson"),
         page(t("A first lesson"),
              {t("1. On <b>Home</b>, drop a file with questions and answers, or choose one of the "
                 "samples."),
               t("2. <b>Data</b> shows the rows and what the model will see of them. Press "
                 "<b>Looks right</b>."),
               t("3. <b>Plan</b> says what it costs: minutes, memory, disk. Press <b>Start</b>."),
               t("4. <b>Runs</b> draws how surprised the model still is by the right answers "
                 "(loss). The line of the checking "
                 "rows is the one to watch: as long as it falls, the model learns what also holds "
                 "for rows it has not seen."),
               t("5. Press <b>Try it</b> and ask the original and the tuned model the same "
                 "question.")})},
        {"home", t("Home"),
         page(t("Home"), {t("Start, continue, find. Drop files anywhere on the dashed area; a "
                            "click asks for them instead."),
                          t("Unfinished runs stand at the right. <b>Continue</b> goes on from the "
                            "newest save point.")})},
        {"data", t("Data"),
         page(t("Data"), {t("Each row is a question and the answer you want. The columns are "
                            "guessed; correct them in the line under the "
                            "heading."),
                          t("The chips name what is wrong: doubled rows, leaks (a test row among "
                            "the training rows), empty rows. A click "
                            "shows them and offers the repair. Everything can be undone."),
                          t("At the right the chosen row stands as the model reads it. Tinted and "
                            "underlined pieces are taught; the "
                            "others are only read.")})},
        {"plan", t("Plan"),
         page(t("Plan"), {t("What the model learns from, how, and what it costs. Numbers with ≈ "
                            "are estimated; measured ones come from a "
                            "run of the same model and method on this machine."),
                          t("Eight settings are in front; all others are under <b>All "
                            "settings</b>. A setting that has no effect with the "
                            "chosen method is disabled and says why.")})},
        {"runs", t("Runs"),
         page(t("Runs"),
              {t("The pale area is the loss of each step; the line over it is smoothed with a "
                 "half-life that you choose. "
                 "Markers are the checking rows, with their range; the best one is ringed."),
               t("Choose several runs with Ctrl to lay their curves over each other. Wheel zooms, "
                 "drag pans, double click fits."),
               t("<b>Stop and keep</b> saves the run at this step; <b>Continue</b> goes on from "
                 "there to the same numbers.")})},
        {"compare", t("Compare"),
         page(t("Compare"), {t("Tick runs to see their curves over each other and the settings in "
                               "which they differ.")})},
        {"evaluate", t("Evaluate"),
         page(t("Evaluate"),
              {t("Scores a model on the test rows, which were not used for learning. Every score "
                 "has a range; when "
                 "two ranges overlap widely, the rows cannot tell which model is better.")})},
        {"try", t("Try"),
         page(t("Try"), {t("The same question goes to every column. The code beside each name is "
                           "the fingerprint of the weights "
                           "that wrote the answer. What the second answer has and the first has "
                           "not is marked."),
                         t("The suggestions are checking rows: the model has not learned them.")})},
        {"deploy", t("Deploy"),
         page(t("Deploy"), {t("An add-on is small and needs the original; a folder is the whole "
                              "tuned model. Both open in the usual "
                              "libraries."),
                            t("What is written is read back from disk and asked the same "
                              "questions; the proof says how far the "
                              "answers differ.")})},
        {"settings", t("Settings"),
         page(t("Settings"),
              {t("Every setting takes effect at once. Nothing leaves this computer.")})},
    };
}

} // namespace

std::vector<HelpPage> helpPages()
{
    std::vector<HelpPage> pages = placePages();
    pages.push_back({"keys", t("Keys"), keysPage()});
    QList<std::pair<QString, QString>> words;
    for (const Word& word : glossary())
        words.append({word.word, word.line + " (" + word.term + ')'});
    pages.push_back({"words", t("Words"), page(t("Words"), {}) + rows(words)});
    for (const ParamSpec& spec : recipes::trainingSettings()) {
        QString choices;
        for (const std::string& label : spec.choiceLabels)
            choices += (choices.isEmpty() ? "" : ", ") + qs(label);
        QList<std::pair<QString, QString>> facts{
            {t("Recommended"), specValueText(spec, spec.defaultValue)}};
        if (!choices.isEmpty())
            facts.append({t("Choices"), choices});
        if (spec.minimum && spec.maximum)
            facts.append({t("Range"),
                          t("%1 to %2 %3")
                              .arg(number(*spec.minimum), number(*spec.maximum), qs(spec.unit))});
        facts.append({t("Term"), qs(spec.term)});
        facts.append({t("Key"), qs(spec.key)});
        pages.push_back(
            {"setting/" + qs(spec.key), t("Setting: %1").arg(qs(spec.label)),
             page(qs(spec.label), {qs(spec.help).toHtmlEscaped(), qs(spec.why).toHtmlEscaped()}) +
                 rows(facts)});
    }
    return pages;
}

} // namespace fettle::ui
