#pragma once

#include "ui/data/encoder_cache.h"
#include "ui/session/session.h"
#include "ui/widgets/basics.h"

#include <QTimer>

class QComboBox;
class QPlainTextEdit;

namespace fettle::ui {

class PieceText;

/// What happens to my text: a question and an answer as a model reads them - its conversation form,
/// its word pieces, and which of them training would teach.
class TextLens : public Card
{
    Q_OBJECT
public:
    explicit TextLens(Session& session, QWidget* parent = nullptr);
    void setModel(const std::string& name);

private:
    void createLayout();
    void look();

    Session& m_session;
    std::shared_ptr<EncoderCache> m_encoders = std::make_shared<EncoderCache>();
    std::string m_model;
    QTimer m_timer;
    int m_generation = 0;
    QComboBox* m_view;
    QPlainTextEdit *m_question, *m_answer;
    PieceText* m_text;
    Text* m_facts;
};

} // namespace fettle::ui
