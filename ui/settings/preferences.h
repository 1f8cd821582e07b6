#pragma once

#include <QObject>
#include <QSettings>
#include <QStringList>
#include <QVariant>

class QSplitter;
class QHeaderView;

namespace fettle::ui {

/// One preference of the program: key of the file, default, words.
struct PreferenceSpec
{
    QString key;
    QVariant fallback;
};

/// What the program remembers about the person, not about the work: theme, text size, places.
class Preferences : public QObject
{
    Q_OBJECT
public:
    static Preferences& instance();
    static const QList<PreferenceSpec>& table();

    QVariant value(const QString& key) const;
    void setValue(const QString& key, const QVariant& value);
    void reset(const QString& key);
    bool isDefault(const QString& key) const;

    QStringList recentWorkspaces() const;
    void rememberWorkspace(const QString& folder);
    void forgetWorkspace(const QString& folder);

    /// Puts a splitter back as it was and keeps it from now on, under its objectName.
    void keep(QSplitter* splitter);
    void keep(QHeaderView* header, const QString& name);

    /// Theme and text size, as stored, onto the application.
    void applyLook() const;

Q_SIGNALS:
    void changed(const QString& key);

private:
    Preferences() = default;
    mutable QSettings m_store;
};

} // namespace fettle::ui
