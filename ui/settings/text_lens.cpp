#include "ui/settings/text_lens.h"

#include "ui/text/words.h"
#include "ui/widgets/piece_text.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QPlainTextEdit>

namespace fettle::ui {

namespace {

constexpr int kDelay = 150; // ms after the last key

struct Seen
{
    std::vector<recipes::SeenPiece> pieces;
    std::int64_t count = 0, taught = 0;
    bool conversation = false;
    QString problem;
};

data::Example exampleOf(const std::string& question, const std::string& answer, bool conversation)
{
    data::Example example;
    if (conversation) {
        example.kind = data::RecordKind::Chat;
        example.messages.push_back({{"role", "user"}, {"content", question}});
        example.messages.push_back({{"role", "assistant"}, {"content", answer}});
    } else {
        example.kind = data::RecordKind::Completion;
        example.prompt = question;
        example.completion = answer;
    }
    return example;
}

/// Through the trainer's own code. Pool thread.
Seen seenText(const recipes::Encoder& encoder, const std::string& question,
              const std::string& answer)
{
    Seen seen;
    seen.conversation = encoder.chatTemplate != nullptr;
    const auto encoded =
        encoder.encode(exampleOf(question, answer, seen.conversation), text::LossOn::Answers);
    if (!encoded) {
        seen.problem = sentence(encoded.error());
        return seen;
    }
    seen.count = static_cast<std::int64_t>(encoded->ids.size());
    seen.taught = encoded->trainedCount();
    seen.pieces = recipes::seenPieces(*encoder.tokenizer, *encoded);
    return seen;
}

} // namespace

TextLens::TextLens(Session& session, QWidget* parent)
    : Card(parent)
    , m_session(session)
    , m_view(new QComboBox)
    , m_question(new QPlainTextEdit)
    , m_answer(new QPlainTextEdit)
    , m_text(new PieceText)
    , m_facts(new Text({}, TextRole::Small, Ink::Second))
{
    setObjectName("modelLens");
    m_view->setObjectName("modelLensViewCombo");
    m_view->setAccessibleName(tr("How the text is shown"));
    m_view->addItem(tr("Word pieces"));
    m_view->addItem(tr("As it is written"));
    m_question->setObjectName("modelLensQuestion");
    m_question->setAccessibleName(tr("A question to look at"));
    m_question->setPlainText(tr("What does the discharge letter say about the knee?"));
    m_answer->setObjectName("modelLensAnswer");
    m_answer->setAccessibleName(tr("Its answer"));
    m_answer->setPlainText(tr("The knee is stable; no operation is planned."));
    for (auto* edit : {m_question, m_answer})
        edit->setTabChangesFocus(true);
    // The page gives them their height; their own wish would push the answer out of sight.
    for (QWidget* field : {static_cast<QWidget*>(m_question), static_cast<QWidget*>(m_answer),
                           static_cast<QWidget*>(m_text)}) {
        field->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Ignored);
        field->setMinimumHeight(Theme::instance().px(48));
    }
    m_text->setObjectName("modelLensText");
    m_text->setAccessibleName(tr("The text as the model sees it; taught words are underlined"));
    m_facts->setObjectName("modelLensFacts");
    m_facts->setWordWrap(true);
    m_facts->setToolTip(wordTip("taught / only read"));

    createLayout();
    m_timer.setSingleShot(true);
    m_timer.setInterval(kDelay);
    connect(&m_timer, &QTimer::timeout, this, &TextLens::look);
    for (auto* edit : {m_question, m_answer})
        connect(edit, &QPlainTextEdit::textChanged, &m_timer, qOverload<>(&QTimer::start));
    connect(m_view, &QComboBox::activated, this, &TextLens::look);
    // A name may stand for another model now.
    connect(&m_session, &Session::modelsChanged, this,
            [this] { m_encoders = std::make_shared<EncoderCache>(); });
}

void TextLens::createLayout()
{
    auto* head = new QHBoxLayout;
    head->addWidget(new Text(tr("What happens to my text"), TextRole::Section), 1);
    head->addWidget(m_view);
    box()->addLayout(head);
    auto* columns = new QHBoxLayout;
    columns->setSpacing(Theme::instance().px(12));
    auto* own = new QVBoxLayout;
    own->addWidget(new Text(tr("Question"), TextRole::Small, Ink::Second));
    own->addWidget(m_question, 1);
    own->addWidget(new Text(tr("Answer"), TextRole::Small, Ink::Second));
    own->addWidget(m_answer, 1);
    auto* seen = new QVBoxLayout;
    seen->addWidget(new Text(tr("As the model sees it"), TextRole::Small, Ink::Second));
    seen->addWidget(m_text, 1);
    columns->addLayout(own, 2);
    columns->addLayout(seen, 3);
    box()->addLayout(columns, 1);
    box()->addWidget(m_facts);
}

void TextLens::setModel(const std::string& name)
{
    m_model = name;
    look();
}

void TextLens::look()
{
    const int generation = ++m_generation;
    if (m_model.empty()) {
        m_text->showWords(tr("Choose a model above."));
        m_facts->setText({});
        return;
    }
    m_session.later(
        this,
        [encoders = m_encoders, workspace = m_session.workspace(), model = m_model,
         question = ss(m_question->toPlainText()), answer = ss(m_answer->toPlainText())] {
            const auto encoder = encoders->encoder(*workspace, model, nullptr);
            if (!encoder) {
                Seen seen;
                seen.problem = sentence(encoder.error());
                return seen;
            }
            return seenText(**encoder, question, answer);
        },
        [this, generation](Seen&& seen) {
            if (generation != m_generation)
                return;
            if (!seen.problem.isEmpty()) {
                m_text->showWords(seen.problem);
                m_facts->setText({});
                return;
            }
            m_text->show(std::move(seen.pieces), m_view->currentIndex() == 0
                                                     ? PieceText::Borders::Shown
                                                     : PieceText::Borders::Hidden);
            const QString counts = tr("%1 word pieces, of which training would teach %2.")
                                       .arg(count(seen.count), count(seen.taught));
            m_facts->setText(seen.conversation
                                 ? counts
                                 : counts + " " +
                                       tr("This model has no conversation form: question and "
                                          "answer stand one behind the other."));
        });
}

} // namespace fettle::ui
