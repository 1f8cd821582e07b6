#pragma once

#include "base/param_spec.h"

#include <QDoubleSpinBox>
#include <QWidget>
#include <map>

namespace fettle::ui {

/// A real number: shows no more digits than it has, steps by a tenth of its size.
class NumberEdit : public QDoubleSpinBox
{
    Q_OBJECT
public:
    explicit NumberEdit(QWidget* parent = nullptr);
    QString textFromValue(double value) const override;
    double valueFromText(const QString& text) const override;
    QValidator::State validate(QString& text, int& position) const override;
    void stepBy(int steps) override;
};

/// An editor for one setting, made from its description alone.
class SpecEditor : public QWidget
{
    Q_OBJECT
public:
    SpecEditor(const ParamSpec& spec, const QString& objectName, QWidget* parent = nullptr);

    const ParamSpec& spec() const { return m_spec; }
    Json value() const;
    void setValue(const Json& value); ///< does not emit
    QWidget* control() const { return m_control; }
    /// Words shown instead of the value 0 ("recommended: 0.0002").
    void setZeroWords(const QString& words);

Q_SIGNALS:
    void edited();

private:
    void makeControl(const QString& objectName);

    ParamSpec m_spec;
    QWidget* m_control = nullptr;
    bool m_setting = false;
};

/// Words of a setting for a tooltip: meaning, term and key, reason of the default, range.
QString specTip(const ParamSpec& spec);
/// What 0 means in a setting where it is no number ("no limit"); empty elsewhere.
QString specZeroWords(const ParamSpec& spec);
/// A value as people read it: words of a choice, yes and no, numbers by the language's rules and
/// with their unit.
QString specValueText(const ParamSpec& spec, const Json& value);

/// One row per setting: label, editor, unit; several columns of rows where there is room.
class SpecForm : public QWidget
{
    Q_OBJECT
public:
    /// `prefix` starts the objectNames; `names` gives special ones by key.
    SpecForm(std::vector<const ParamSpec*> specs, const QString& prefix,
             const std::map<std::string, QString>& names, int columns, bool explained,
             QWidget* parent = nullptr);

    void load(const ParamValues& values); ///< shows the values; settings without effect are
                                          ///< disabled with the reason
    SpecEditor* editor(const std::string& key) const;
    void setFilter(const QString& words); ///< shows only rows in which all words occur

Q_SIGNALS:
    void edited(const QString& key);

private:
    struct Row
    {
        SpecEditor* editor;
        QWidget* box;
        class Text* label;
        class Text* help;
    };
    std::map<std::string, Row> m_rows;
};

} // namespace fettle::ui
