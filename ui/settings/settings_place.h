#pragma once

#include "ui/shell/place.h"

class QComboBox;
class QListWidget;
class QStackedWidget;
class QTableWidget;

namespace fettle::ui {

/// General, folders, devices, models, about.
class SettingsPlace : public Place
{
    Q_OBJECT
public:
    explicit SettingsPlace(Session& session, QWidget* parent = nullptr);
    /// "models", "devices", "about" ...
    void activate(const QString& argument) override;

Q_SIGNALS:
    void openWorkspaceWanted();

private:
    QWidget* createGeneral();
    QWidget* createFolders();
    QWidget* createDevices();
    QWidget* createModels();
    QWidget* createAbout();
    void addPage(const QString& id, const QString& words, const QString& iconName, QWidget* page);
    void refreshModels();
    void refreshDevices();
    void importModel(const QString& path);
    QToolButton* resetButton(const QString& key);

    QListWidget* m_list = nullptr;
    QStackedWidget* m_pages = nullptr;
    QStringList m_ids;
    QTableWidget* m_models = nullptr;
    QWidget* m_devices = nullptr;
    Text* m_importPhase = nullptr;
    QPushButton *m_importFile = nullptr, *m_importFolder = nullptr, *m_removeModel = nullptr;
    QPointer<JobBridge> m_job;
};

} // namespace fettle::ui
