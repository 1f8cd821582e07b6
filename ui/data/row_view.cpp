#include "ui/data/row_view.h"

#include "ui/text/words.h"
#include "ui/widgets/piece_text.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QPlainTextEdit>
#include <QStackedWidget>
#include <QVBoxLayout>

namespace fettle::ui {

SeenRow seenRow(const recipes::Encoder& encoder, const data::Example& example)
{
    SeenRow seen;
    const auto encoded = encoder.encode(example, text::LossOn::Answers);
    if (!encoded) {
        seen.problem = sentence(encoded.error());
        return seen;
    }
    seen.count = static_cast<std::int64_t>(encoded->ids.size());
    seen.taught = encoded->trainedCount();
    seen.pieces = recipes::seenPieces(*encoder.tokenizer, *encoded);
    return seen;
}

RowView::RowView(QWidget* parent)
    : QWidget(parent)
    , m_model(new QComboBox(this))
    , m_stack(new QStackedWidget(this))
    , m_text(new PieceText(this))
    , m_facts(new Text({}, TextRole::Small, Ink::Second, this))
    , m_question(new QPlainTextEdit(this))
    , m_answer(new QPlainTextEdit(this))
    , m_edit(plainButton(tr("Edit"), "dataEditButton", "document-edit", this))
    , m_drop(plainButton(tr("Drop"), "dataDropButton", "edit-delete", this))
    , m_save(plainButton(tr("Keep the change"), "dataKeepEditButton", {}, this))
    , m_cancel(quietButton(tr("Cancel"), "dataCancelEditButton", {}, this))
{
    setObjectName("dataRowView");
    m_model->setObjectName("dataModelCombo");
    m_model->setAccessibleName(tr("Whose word pieces and conversation form"));
    m_model->setToolTip(tr("The row is shown as this model reads it.\n") +
                        wordTip("conversation form"));
    m_model->setProperty("quiet", true);
    m_text->setObjectName("dataRowText");
    m_text->setAccessibleName(tr("The row as the model sees it; taught words are underlined"));
    m_question->setObjectName("dataQuestionEdit");
    m_question->setAccessibleName(tr("Question of this row"));
    m_answer->setObjectName("dataAnswerEdit");
    m_answer->setAccessibleName(tr("Answer of this row"));
    m_question->setTabChangesFocus(true);
    m_answer->setTabChangesFocus(true);
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(8, 0, 0, 0);
    box->setSpacing(Theme::instance().px(8));
    auto* head = new QHBoxLayout;
    head->addWidget(new Text(tr("As the model sees it"), TextRole::Group, Ink::Text, this));
    head->addStretch(1);
    head->addWidget(m_model);
    box->addLayout(head);
    auto* editor = new QWidget(this);
    auto* fields = new QVBoxLayout(editor);
    fields->setContentsMargins(0, 0, 0, 0);
    fields->addWidget(new Text(tr("Question"), TextRole::Small, Ink::Second, editor));
    fields->addWidget(m_question, 3);
    fields->addWidget(new Text(tr("Answer"), TextRole::Small, Ink::Second, editor));
    fields->addWidget(m_answer, 2);
    auto* keep = new QHBoxLayout;
    keep->addStretch(1);
    keep->addWidget(m_cancel);
    keep->addWidget(m_save);
    fields->addLayout(keep);
    m_stack->addWidget(m_text);
    m_stack->addWidget(editor);
    box->addWidget(m_stack, 1);
    auto* foot = new QHBoxLayout;
    foot->addWidget(m_facts, 1);
    foot->addWidget(m_edit);
    foot->addWidget(m_drop);
    m_facts->setWordWrap(true);
    m_facts->setToolTip(wordTip("taught / only read"));
    box->addLayout(foot);
    connect(m_edit, &QPushButton::clicked, this, &RowView::edit);
    connect(m_drop, &QPushButton::clicked, this, &RowView::dropWanted);
    connect(m_save, &QPushButton::clicked, this, &RowView::save);
    connect(m_cancel, &QPushButton::clicked, this, [this] { show(m_row, m_seen); });
    showNothing();
}

bool RowView::editing() const { return m_stack->currentIndex() == 1; }

void RowView::showNothing()
{
    m_row = {};
    m_seen = {};
    m_stack->setCurrentIndex(0);
    m_text->showWords(tr("Choose a row on the left."));
    m_facts->setText({});
    m_edit->setEnabled(false);
    m_drop->setEnabled(false);
}

void RowView::show(const store::DatasetRow& row, const SeenRow& seen)
{
    m_row = row;
    m_seen = seen;
    m_stack->setCurrentIndex(0);
    m_edit->setEnabled(!row.leftOut);
    m_edit->setVisible(true);
    m_drop->setVisible(true);
    m_drop->setEnabled(true);
    m_drop->setText(row.leftOut ? tr("Bring back") : tr("Drop"));
    render();
}

void RowView::render()
{
    if (m_row.id == 0)
        return;
    if (!m_seen.problem.isEmpty() || m_seen.pieces.empty()) {
        const QString words =
            qs(data::questionOf(m_row.example)) + "\n\n" + qs(data::answerOf(m_row.example));
        m_text->showWords(m_seen.problem.isEmpty() ? words : m_seen.problem + "\n\n" + words);
        m_facts->setText({});
        return;
    }
    m_text->show(m_seen.pieces, PieceText::Borders::Hidden);
    m_facts->setText(tr("%1 of %2 word pieces are taught; the others are only read")
                         .arg(count(m_seen.taught), count(m_seen.count)));
}

void RowView::edit()
{
    if (m_row.id == 0 || m_row.leftOut)
        return;
    m_question->setPlainText(qs(data::questionOf(m_row.example)));
    m_answer->setPlainText(qs(data::answerOf(m_row.example)));
    if (m_row.example.kind == data::RecordKind::Chat) {
        // Of a long conversation only the last exchange is open here.
        for (auto it = m_row.example.messages.rbegin(); it != m_row.example.messages.rend(); ++it) {
            if (it->value("role", std::string()) == "user") {
                m_question->setPlainText(qs(it->value("content", std::string())));
                break;
            }
        }
    }
    m_stack->setCurrentIndex(1);
    m_edit->setVisible(false);
    m_drop->setVisible(false);
    m_question->setFocus();
}

void RowView::save()
{
    data::Example example = m_row.example;
    const std::string question = ss(m_question->toPlainText()),
                      answer = ss(m_answer->toPlainText());
    switch (example.kind) {
    case data::RecordKind::Completion:
        example.prompt = question, example.completion = answer;
        break;
    case data::RecordKind::Labelled:
        example.text = question, example.label = answer;
        break;
    case data::RecordKind::Chat:
        for (auto it = example.messages.rbegin(); it != example.messages.rend(); ++it) {
            if (it->value("role", std::string()) == "user") {
                (*it)["content"] = question;
                break;
            }
        }
        if (!example.messages.empty())
            example.messages.back()["content"] = answer;
        break;
    }
    m_stack->setCurrentIndex(0);
    Q_EMIT changed(m_row.id, example);
}

} // namespace fettle::ui
