#pragma once

#include "ui/shell/place.h"

class QComboBox;
class QListWidget;
class QStackedWidget;

namespace fettle::ui {

class ModelsPage;

/// General, folders, devices, models, privacy, about.
class SettingsPlace : public Place
{
    Q_OBJECT
public:
    explicit SettingsPlace(Session& session, QWidget* parent = nullptr);
    /// "models", "devices", "about" ...
    void activate(const QString& argument) override;

    /// Goes to the models and brings one in.
    void importModel(const QString& path);

Q_SIGNALS:
    void openWorkspaceWanted();

private:
    QWidget* createGeneral();
    QWidget* createFolders();
    QWidget* createDevices();
    QWidget* createPrivacy();
    QWidget* createToken();
    QWidget* createAbout();
    void addPage(const QString& id, const QString& words, const QString& iconName, QWidget* page);
    void refreshDevices();
    QToolButton* resetButton(const QString& key);

    QListWidget* m_list = nullptr;
    QStackedWidget* m_pages = nullptr;
    QStringList m_ids;
    QWidget* m_devices = nullptr;
    ModelsPage* m_models = nullptr;
};

} // namespace fettle::ui
