#pragma once

#include "recipes/model_facts.h"
#include "ui/session/session.h"
#include "ui/widgets/basics.h"

class QGridLayout;
class QTableWidget;

namespace fettle::ui {

class MessageBar;
class TextLens;

/// The originals of the workspace: what each is, whether it fits this machine, how it reads a text.
class ModelsPage : public QWidget
{
    Q_OBJECT
public:
    ModelsPage(Session& session, MessageBar* messages, QWidget* parent = nullptr);

    void refresh();
    /// A GGUF file, a folder or an add-on; the model appears under the file's name.
    void importModel(const QString& path);
    /// Whether a dropped path is a model rather than examples.
    static bool looksLikeModel(const QString& path);

private:
    QWidget* createList();
    QWidget* createCard();
    void askFile();
    void askFolder();
    void askRemove();
    void askName();
    void importAdapter(const QString& path, const QString& name);
    QString freeName(const QString& name) const;
    void follow(JobBridge* job, const QString& name);
    void chosen();
    void showFacts(const store::ModelRecord& record, const Result<recipes::ModelFacts>& facts);
    void addFact(const QString& name, const QString& value);
    void addFit(const QString& name, const recipes::Fit& fit);
    const store::ModelRecord* current() const;

    Session& m_session;
    MessageBar* m_messages;
    std::vector<store::ModelRecord> m_models;
    QString m_wanted; ///< to be chosen at the next refresh
    QPointer<JobBridge> m_job;
    QTableWidget* m_table = nullptr;
    QGridLayout* m_facts = nullptr;
    int m_row = 0; ///< next free line of it
    TextLens* m_lens = nullptr;
    Text *m_name = nullptr, *m_notes = nullptr, *m_phase = nullptr;
    QPushButton *m_folder = nullptr, *m_download = nullptr, *m_cancel = nullptr,
                *m_remove = nullptr;
    QWidget* m_drop = nullptr;
};

} // namespace fettle::ui
