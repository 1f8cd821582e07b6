// Forms made from descriptions: every setting of a run, round and round.
#include "recipes/settings.h"
#include "ui/text/word_diff.h"
#include "ui/theme/theme.h"
#include "ui/widgets/spec_form.h"

#include <QAbstractSpinBox>
#include <QCheckBox>
#include <QComboBox>
#include <QSignalSpy>
#include <QtTest>

using namespace fettle;
using namespace fettle::ui;

class TestForms : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void everySettingHasAnEditorThatKeepsItsValue();
    void rangesAreThoseOfTheDescription();
    void settingsWithoutEffectAreDisabledWithTheReason();
    void smallNumbersAreShownInFull();
    void filterFindsByWordTermAndKey();
    void differencesOfWordsAreMarked();
};

void TestForms::everySettingHasAnEditorThatKeepsItsValue()
{
    for (const ParamSpec& spec : recipes::trainingSettings()) {
        SpecEditor editor(spec, "editor");
        QVERIFY2(!editor.control()->accessibleName().isEmpty(), spec.key.c_str());
        QVERIFY2(editor.value() == spec.defaultValue, spec.key.c_str());
        ParamValues values(recipes::trainingSettings());
        std::vector<Json> others;
        if (spec.kind == ParamKind::Choice) {
            for (const auto& choice : spec.choices)
                others.emplace_back(choice);
        } else if (spec.kind == ParamKind::Flag) {
            others = {true, false};
        } else if (spec.kind == ParamKind::Integer) {
            others = {*spec.minimum, std::min(*spec.minimum + 7, *spec.maximum)};
            for (Json& v : others)
                v = static_cast<std::int64_t>(v.get<double>());
        } else if (spec.kind == ParamKind::Real) {
            others = {*spec.minimum, (*spec.minimum + *spec.maximum) / 2};
        }
        for (const Json& other : others) {
            editor.setValue(other);
            QVERIFY2(editor.value() == other, spec.key.c_str());
            QVERIFY2(static_cast<bool>(values.set(spec.key, editor.value())), spec.key.c_str());
        }
    }
}

void TestForms::rangesAreThoseOfTheDescription()
{
    for (const ParamSpec& spec : recipes::trainingSettings()) {
        SpecEditor editor(spec, "editor");
        QSignalSpy edited(&editor, &SpecEditor::edited);
        auto* spin = qobject_cast<QAbstractSpinBox*>(editor.control());
        if (!spin || !spec.maximum)
            continue;
        editor.setValue(spec.kind == ParamKind::Integer
                            ? Json(static_cast<std::int64_t>(*spec.maximum))
                            : Json(*spec.maximum));
        QCOMPARE(edited.count(), 0); // showing a value is not an edit
        spin->stepBy(1);
        QVERIFY2(editor.value().get<double>() <= *spec.maximum, spec.key.c_str());
    }
}

void TestForms::settingsWithoutEffectAreDisabledWithTheReason()
{
    std::vector<const ParamSpec*> all;
    for (const ParamSpec& spec : recipes::trainingSettings())
        all.push_back(&spec);
    SpecForm form(all, "all_", {}, 2, true);
    ParamValues values(recipes::trainingSettings());
    for (const char* method : {"lora", "full"}) {
        QVERIFY(static_cast<bool>(values.set("method", method)));
        form.load(values);
        for (const ParamSpec* spec : all) {
            SpecEditor* editor = form.editor(spec->key);
            QVERIFY(editor);
            QCOMPARE(editor->isEnabled(), values.isNeeded(*spec));
            if (!values.isNeeded(*spec))
                QVERIFY2(editor->control()->toolTip().startsWith("Has no effect"),
                         spec->key.c_str());
        }
    }
}

void TestForms::smallNumbersAreShownInFull()
{
    NumberEdit edit;
    edit.setRange(0, 1);
    for (const auto& [value, words] :
         {std::pair{0.0002, "0.0002"}, {1e-5, "0.00001"}, {0.05, "0.05"}, {0.999, "0.999"}}) {
        edit.setValue(value);
        QCOMPARE(edit.text(), QString(words));
        QCOMPARE(edit.value(), value);
    }
    edit.setValue(0.0002);
    edit.stepBy(1);
    QVERIFY(edit.value() > 0.0002 && edit.value() < 0.001);
    edit.stepBy(-1);
    QCOMPARE(edit.value(), 0.0002);
}

void TestForms::filterFindsByWordTermAndKey()
{
    std::vector<const ParamSpec*> all;
    for (const ParamSpec& spec : recipes::trainingSettings())
        all.push_back(&spec);
    SpecForm form(all, "all_", {}, 2, true);
    for (const char* words : {"change per step", "learning rate", "training.learningRate"}) {
        form.setFilter(words);
        QVERIFY2(!form.editor("training.learningRate")->parentWidget()->isHidden(), words);
        QVERIFY2(form.editor("training.weightDecay")->parentWidget()->isHidden(), words);
    }
}

void TestForms::differencesOfWordsAreMarked()
{
    const auto parts = wordDiff("the quick brown fox", "the slow brown fox jumps");
    QString before, after;
    for (const DiffPart& part : parts) {
        if (part.change != Change::Added)
            before += part.text;
        if (part.change != Change::Removed)
            after += part.text;
    }
    QCOMPARE(after, QString("the slow brown fox jumps"));
    QCOMPARE(before.simplified(), QString("the quick brown fox"));
    QVERIFY(diffHtml(parts, true).contains("line-through"));
    QVERIFY(diffHtml(wordDiff("a<b", "a<b"), false).contains("a&lt;b"));
}

int main(int argc, char** argv)
{
    QApplication app(argc, argv);
    QLocale::setDefault(QLocale::c());
    Theme::instance().apply(ThemeChoice::Light, 1.0);
    TestForms test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_forms.moc"
