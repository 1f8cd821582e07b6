#include "ui/settings/preferences.h"

#include "ui/text/english_plurals.h"
#include "ui/theme/theme.h"

#include <QHeaderView>
#include <QSplitter>

namespace fettle::ui {

Preferences& Preferences::instance()
{
    static Preferences preferences;
    return preferences;
}

const QList<PreferenceSpec>& Preferences::table()
{
    static const QList<PreferenceSpec> specs{
        {QStringLiteral("look/theme"), 0},      {QStringLiteral("look/textSize"), 100},
        {QStringLiteral("look/terms"), false},  {QStringLiteral("notices/desktop"), true},
        {QStringLiteral("plots/halfLife"), 20},
    };
    return specs;
}

QVariant Preferences::value(const QString& key) const
{
    for (const auto& spec : table()) {
        if (spec.key == key)
            return m_store.value(key, spec.fallback);
    }
    return m_store.value(key);
}

void Preferences::setValue(const QString& key, const QVariant& value)
{
    if (m_store.value(key) == value && m_store.contains(key))
        return;
    m_store.setValue(key, value);
    Q_EMIT changed(key);
}

void Preferences::reset(const QString& key)
{
    m_store.remove(key);
    Q_EMIT changed(key);
}

bool Preferences::isDefault(const QString& key) const
{
    for (const auto& spec : table()) {
        if (spec.key == key)
            return value(key).toString() == spec.fallback.toString();
    }
    return true;
}

QStringList Preferences::recentWorkspaces() const
{
    return m_store.value("workspaces/recent").toStringList();
}

void Preferences::rememberWorkspace(const QString& folder)
{
    QStringList list = recentWorkspaces();
    list.removeAll(folder);
    list.prepend(folder);
    m_store.setValue("workspaces/recent", QStringList(list.mid(0, 8)));
}

void Preferences::forgetWorkspace(const QString& folder)
{
    QStringList list = recentWorkspaces();
    list.removeAll(folder);
    m_store.setValue("workspaces/recent", list);
}

void Preferences::keep(QSplitter* splitter)
{
    const QString key = "splitters/" + splitter->objectName();
    if (const QByteArray state = m_store.value(key).toByteArray(); !state.isEmpty())
        splitter->restoreState(state);
    QObject::connect(splitter, &QSplitter::splitterMoved, this,
                     [this, splitter, key] { m_store.setValue(key, splitter->saveState()); });
}

void Preferences::keep(QHeaderView* header, const QString& name)
{
    const QString key = "headers/" + name;
    if (const QByteArray state = m_store.value(key).toByteArray(); !state.isEmpty())
        header->restoreState(state);
    QObject::connect(header, &QHeaderView::sectionResized, this,
                     [this, header, key] { m_store.setValue(key, header->saveState()); });
}

void Preferences::applyLook() const
{
    EnglishPlurals::install();
    Theme::instance().apply(static_cast<ThemeChoice>(qBound(0, value("look/theme").toInt(), 4)),
                            value("look/textSize").toInt() / 100.0);
}

} // namespace fettle::ui
