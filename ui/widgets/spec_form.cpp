#include "ui/widgets/spec_form.h"

#include "ui/text/words.h"
#include "ui/widgets/basics.h"

#include <QCheckBox>
#include <QComboBox>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QLocale>
#include <QSignalBlocker>
#include <QSpinBox>
#include <cmath>
#include <limits>

namespace fettle::ui {

NumberEdit::NumberEdit(QWidget* parent)
    : QDoubleSpinBox(parent)
{
    setDecimals(15);
    setKeyboardTracking(false);
}

namespace {

/// A setting's number with no more digits than it has.
QString plainNumber(double value, const QLocale& locale)
{
    QString text = locale.toString(value, 'g', 6);
    if (std::abs(value) >= 1e-7 && std::abs(value) < 1) {
        text = locale.toString(value, 'f', 10);
        while (text.endsWith('0'))
            text.chop(1);
    }
    return text;
}

} // namespace

QString NumberEdit::textFromValue(double value) const { return plainNumber(value, locale()); }

double NumberEdit::valueFromText(const QString& text) const
{
    bool good = false;
    const double value = locale().toDouble(text.trimmed(), &good);
    return good ? value : QLocale::c().toDouble(text.trimmed());
}

QValidator::State NumberEdit::validate(QString& text, int&) const
{
    bool good = false;
    const QString words = text.trimmed();
    double value = locale().toDouble(words, &good);
    if (!good)
        value = QLocale::c().toDouble(words, &good);
    if (!good || value < minimum() || value > maximum())
        return words == specialValueText() && !words.isEmpty() ? QValidator::Acceptable
                                                               : QValidator::Intermediate;
    return QValidator::Acceptable;
}

void NumberEdit::stepBy(int steps)
{
    // A quarter of a decade up or down: settings of this kind matter by ratio.
    double v = value();
    if (v <= 0)
        v = minimum() > 0 ? minimum() : 1e-4 / 1.25;
    const double scale = std::pow(10.0, std::floor(std::log10(v)));
    const double unit = maximum() - minimum() <= 1 && scale > 0.01 ? 0.01 : scale / 2;
    setValue(
        qBound(minimum(), std::round((v + steps * unit) / (unit / 10)) * (unit / 10), maximum()));
}

SpecEditor::SpecEditor(const ParamSpec& spec, const QString& objectName, QWidget* parent)
    : QWidget(parent)
    , m_spec(spec)
{
    makeControl(objectName);
    m_control->setObjectName(objectName);
    m_control->setAccessibleName(qs(spec.label));
    m_control->setAccessibleDescription(specTip(spec));
    m_control->setToolTip(specTip(spec));
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(0, 0, 0, 0);
    row->addWidget(m_control, 1);
    setFocusProxy(m_control);
    setZeroWords(specZeroWords(spec));
    setValue(spec.defaultValue);
}

void SpecEditor::makeControl(const QString&)
{
    const auto changed = [this] {
        if (!m_setting)
            Q_EMIT edited();
    };
    switch (m_spec.kind) {
    case ParamKind::Integer: {
        auto* spin = new QSpinBox(this);
        constexpr double low = std::numeric_limits<int>::min(),
                         high = std::numeric_limits<int>::max();
        spin->setRange(static_cast<int>(qMax(low, m_spec.minimum.value_or(low))),
                       static_cast<int>(qMin(high, m_spec.maximum.value_or(high))));
        spin->setGroupSeparatorShown(true);
        spin->setKeyboardTracking(false);
        spin->setStepType(QAbstractSpinBox::AdaptiveDecimalStepType);
        connect(spin, &QSpinBox::valueChanged, this, changed);
        m_control = spin;
        break;
    }
    case ParamKind::Real: {
        auto* spin = new NumberEdit(this);
        spin->setRange(m_spec.minimum.value_or(-1e9), m_spec.maximum.value_or(1e9));
        connect(spin, &QDoubleSpinBox::valueChanged, this, changed);
        m_control = spin;
        break;
    }
    case ParamKind::Flag: {
        auto* box = new QCheckBox(qs(m_spec.label), this);
        connect(box, &QCheckBox::toggled, this, changed);
        m_control = box;
        break;
    }
    case ParamKind::Choice: {
        auto* combo = new QComboBox(this);
        for (std::size_t i = 0; i < m_spec.choices.size(); ++i)
            combo->addItem(
                qs(i < m_spec.choiceLabels.size() ? m_spec.choiceLabels[i] : m_spec.choices[i]),
                qs(m_spec.choices[i]));
        combo->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
        combo->setMinimumContentsLength(8);
        connect(combo, &QComboBox::currentIndexChanged, this, changed);
        m_control = combo;
        break;
    }
    case ParamKind::Text:
    case ParamKind::TextList: {
        auto* edit = new QLineEdit(this);
        connect(edit, &QLineEdit::editingFinished, this, changed);
        m_control = edit;
        break;
    }
    }
}

Json SpecEditor::value() const
{
    switch (m_spec.kind) {
    case ParamKind::Integer:
        return static_cast<QSpinBox*>(m_control)->value();
    case ParamKind::Real:
        return static_cast<QDoubleSpinBox*>(m_control)->value();
    case ParamKind::Flag:
        return static_cast<QCheckBox*>(m_control)->isChecked();
    case ParamKind::Choice:
        return ss(static_cast<QComboBox*>(m_control)->currentData().toString());
    case ParamKind::Text:
        return ss(static_cast<QLineEdit*>(m_control)->text());
    case ParamKind::TextList:
        break;
    }
    Json list = Json::array();
    for (const QString& part :
         static_cast<QLineEdit*>(m_control)->text().split(',', Qt::SkipEmptyParts))
        list.push_back(ss(part.trimmed()));
    return list;
}

void SpecEditor::setValue(const Json& value)
{
    m_setting = true;
    switch (m_spec.kind) {
    case ParamKind::Integer:
        static_cast<QSpinBox*>(m_control)->setValue(value.get<int>());
        break;
    case ParamKind::Real:
        if (value.is_number())
            static_cast<QDoubleSpinBox*>(m_control)->setValue(value.get<double>());
        break;
    case ParamKind::Flag:
        static_cast<QCheckBox*>(m_control)->setChecked(value.get<bool>());
        break;
    case ParamKind::Choice: {
        auto* combo = static_cast<QComboBox*>(m_control);
        combo->setCurrentIndex(combo->findData(qs(value.get<std::string>())));
        break;
    }
    case ParamKind::Text:
        static_cast<QLineEdit*>(m_control)->setText(qs(value.get<std::string>()));
        break;
    case ParamKind::TextList: {
        QStringList parts;
        for (const auto& part : value)
            parts << qs(part.get<std::string>());
        static_cast<QLineEdit*>(m_control)->setText(parts.join(", "));
        break;
    }
    }
    m_setting = false;
}

void SpecEditor::setZeroWords(const QString& words)
{
    // Qt shows the special text at the minimum only, which is where these settings have their 0.
    if (auto* spin = qobject_cast<QAbstractSpinBox*>(m_control);
        spin && m_spec.minimum.value_or(1) == 0)
        spin->setSpecialValueText(words);
}

QString specTip(const ParamSpec& spec)
{
    QString tip = qs(spec.help);
    if (!spec.why.empty())
        tip += '\n' + qs(spec.why);
    if (spec.minimum && spec.maximum && spec.kind != ParamKind::Flag)
        tip += '\n' +
               QObject::tr("From %1 to %2").arg(number(*spec.minimum), number(*spec.maximum)) +
               (spec.unit.empty() ? QString() : ' ' + qs(spec.unit));
    tip += '\n' + QObject::tr("Term: %1 · key: %2").arg(qs(spec.term), qs(spec.key));
    return tip;
}

QString specZeroWords(const ParamSpec& spec)
{
    const std::pair<const char*, QString> words[] = {
        {"checks.everySteps", QObject::tr("about ten checks")},
        {"training.maxSteps", QObject::tr("no limit")},
        {"training.learningRate", QObject::tr("recommended")},
        {"checkpoints.everySteps", QObject::tr("at each check")},
        {"training.clipNorm", QObject::tr("off")}};
    for (const auto& [key, text] : words) {
        if (spec.key == key)
            return text;
    }
    return {};
}

QString specValueText(const ParamSpec& spec, const Json& value)
{
    if (value.is_number() && value.get<double>() == 0 && !specZeroWords(spec).isEmpty())
        return specZeroWords(spec);
    const QString unit = spec.unit.empty() ? QString() : ' ' + qs(spec.unit);
    switch (spec.kind) {
    case ParamKind::Integer:
        return value.is_number() ? count(value.get<std::int64_t>()) + unit : QString();
    case ParamKind::Real:
        return value.is_number() ? plainNumber(value.get<double>(), QLocale()) + unit : QString();
    case ParamKind::Flag:
        return value.is_boolean() && value.get<bool>() ? QObject::tr("yes") : QObject::tr("no");
    case ParamKind::Choice:
        for (std::size_t i = 0; i < spec.choices.size() && i < spec.choiceLabels.size(); ++i) {
            if (value.is_string() && spec.choices[i] == value.get<std::string>())
                return qs(spec.choiceLabels[i]);
        }
        return value.is_string() ? qs(value.get<std::string>()) : QString();
    case ParamKind::Text:
        return value.is_string() ? qs(value.get<std::string>()) : QString();
    case ParamKind::TextList:
        break;
    }
    QStringList parts;
    for (const auto& part : value) {
        if (part.is_string())
            parts << qs(part.get<std::string>());
    }
    return parts.join(", ");
}

SpecForm::SpecForm(std::vector<const ParamSpec*> specs, const QString& prefix,
                   const std::map<std::string, QString>& names, int columns, bool explained,
                   QWidget* parent)
    : QWidget(parent)
{
    const Theme& theme = Theme::instance();
    auto* grid = new QGridLayout(this);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(theme.px(16));
    grid->setVerticalSpacing(theme.px(explained ? 14 : 10));
    int index = 0;
    for (const ParamSpec* spec : specs) {
        const auto named = names.find(spec->key);
        const QString name = named != names.end() ? named->second : prefix + qs(spec->key);
        auto* box = new QWidget(this);
        auto* column = new QVBoxLayout(box);
        column->setContentsMargins(0, 0, 0, 0);
        column->setSpacing(theme.px(4));
        auto* editor = new SpecEditor(*spec, name, box);
        QString title = qs(spec->label);
        if (!spec->unit.empty() && !title.contains(qs(spec->unit), Qt::CaseInsensitive))
            title += QStringLiteral(" (%1)").arg(qs(spec->unit));
        auto* label = new Text(spec->kind == ParamKind::Flag ? QStringLiteral(" ") : title,
                               TextRole::Small, Ink::Second, box);
        label->setBuddy(editor->control());
        label->setToolTip(specTip(*spec));
        column->addWidget(label);
        column->addWidget(editor);
        auto* help = new Text(qs(spec->help), TextRole::Small, Ink::Second, box);
        help->setWordWrap(true);
        help->setVisible(explained);
        column->addWidget(help);
        grid->addWidget(box, index / columns, index % columns, Qt::AlignTop);
        grid->setColumnStretch(index % columns, 1);
        m_rows[spec->key] = {editor, box, label, help};
        const QString key = qs(spec->key);
        connect(editor, &SpecEditor::edited, this, [this, key] { Q_EMIT edited(key); });
        ++index;
    }
}

void SpecForm::load(const ParamValues& values)
{
    for (auto& [key, row] : m_rows) {
        row.editor->setValue(values.value(key));
        const bool needed = values.isNeeded(row.editor->spec());
        row.editor->setEnabled(needed);
        QString tip = specTip(row.editor->spec());
        if (!needed) {
            const ParamSpec* by = values.spec(row.editor->spec().neededBySetting);
            const QString reason =
                tr("Has no effect with %1: %2")
                    .arg(by ? qs(by->label).toLower() : QString(),
                         by ? specValueText(*by, values.value(by->key)) : QString());
            tip = reason + '\n' + tip;
            row.help->setText(reason);
        } else {
            row.help->setText(qs(row.editor->spec().help));
        }
        row.editor->control()->setToolTip(tip);
    }
}

SpecEditor* SpecForm::editor(const std::string& key) const
{
    const auto found = m_rows.find(key);
    return found == m_rows.end() ? nullptr : found->second.editor;
}

void SpecForm::setFilter(const QString& words)
{
    const QStringList parts = words.split(' ', Qt::SkipEmptyParts);
    for (auto& [key, row] : m_rows) {
        const ParamSpec& spec = row.editor->spec();
        const QString all = qs(spec.label + ' ' + spec.term + ' ' + spec.help + ' ' + key);
        bool found = true;
        for (const QString& part : parts)
            found = found && all.contains(part, Qt::CaseInsensitive);
        row.box->setVisible(found);
    }
}

} // namespace fettle::ui
