#include "ui/text/word_diff.h"
#include "ui/text/words.h"
#include "ui/theme/style.h"
#include "ui/try/try_place.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QMenu>
#include <QPainter>
#include <QTextBrowser>
#include <QVBoxLayout>

namespace fettle::ui {

TryColumn::TryColumn(int index, QWidget* parent)
    : QFrame(parent)
    , m_model(new QComboBox(this))
    , m_text(new QTextBrowser(this))
    , m_fingerprint(new Text({}, TextRole::Fixed, Ink::Second, this))
    , m_facts(new Text({}, TextRole::Small, Ink::Second, this))
    , m_save(quietButton(tr("Save as row"), QStringLiteral("trySaveRowButton_%1").arg(index),
                         "list-add", this))
{
    setObjectName(QStringLiteral("tryColumn_%1").arg(index));
    m_model->setObjectName(QStringLiteral("tryModelCombo_%1").arg(index));
    m_model->setAccessibleName(tr("Who answers in column %1").arg(index + 1));
    m_model->setProperty("quiet", true);
    m_model->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    m_model->setMinimumContentsLength(16);
    QFont bold = Theme::instance().font(TextRole::Group);
    m_model->setFont(bold);
    m_text->setObjectName(QStringLiteral("tryAnswer_%1").arg(index));
    m_text->setAccessibleName(tr("Answer in column %1").arg(index + 1));
    m_text->setFrameShape(QFrame::NoFrame);
    m_text->viewport()->setAutoFillBackground(false);
    m_text->setOpenLinks(false);
    m_text->document()->setDocumentMargin(4);
    m_fingerprint->setObjectName(QStringLiteral("tryFingerprint_%1").arg(index));
    m_fingerprint->setToolTip(tr("Fingerprint of the weights that wrote this answer.\n") +
                              wordTip("fingerprint"));
    m_facts->setElided(true);
    auto* box = new QVBoxLayout(this);
    const int edge = Theme::instance().px(14);
    box->setContentsMargins(edge, edge - 4, edge, edge - 4);
    auto* head = new QHBoxLayout;
    head->addWidget(m_model, 1);
    head->addWidget(m_fingerprint);
    box->addLayout(head);
    box->addWidget(hairline(this));
    box->addWidget(m_text, 1);
    auto* foot = new QHBoxLayout;
    foot->addWidget(m_facts, 1);
    foot->addWidget(m_save);
    box->addLayout(foot);
    auto* menu = new QMenu(m_save);
    connect(menu->addAction(tr("as training row")), &QAction::triggered, this,
            [this] { Q_EMIT saveWanted(data::Split::Train); });
    connect(menu->addAction(tr("as test row")), &QAction::triggered, this,
            [this] { Q_EMIT saveWanted(data::Split::Test); });
    m_save->setMenu(menu);
    connect(m_model, &QComboBox::activated, this, [this] {
        clearAnswer();
        Q_EMIT modelChanged();
    });
    clearAnswer();
}

void TryColumn::setModels(const std::vector<store::ModelRecord>& models,
                          const std::vector<store::RunRecord>& runs)
{
    const QString before = model();
    m_model->clear();
    for (const auto& record : models)
        m_model->addItem(tr("Original · %1").arg(qs(record.name)), qs(record.name));
    for (const auto& run : runs)
        m_model->addItem(tr("Run %1 · %2").arg(count(run.number), qs(run.name)),
                         "run:" + QString::number(run.number));
    if (!before.isEmpty())
        choose(before);
}

void TryColumn::choose(const QString& id)
{
    if (const int at = m_model->findData(id); at >= 0)
        m_model->setCurrentIndex(at);
}

QString TryColumn::model() const { return m_model->currentData().toString(); }
QString TryColumn::modelWords() const { return m_model->currentText(); }

void TryColumn::beginWaiting(const QString& words)
{
    m_answerText.clear();
    m_waiting = true;
    m_fingerprint->setText({});
    m_facts->setText(words);
    m_text->clear();
    m_save->setEnabled(false);
}

void TryColumn::addPiece(const QString& text)
{
    if (m_waiting) {
        m_waiting = false;
        m_facts->setText(tr("writing …"));
    }
    m_answerText += text;
    m_text->moveCursor(QTextCursor::End);
    m_text->insertPlainText(text);
}

void TryColumn::finish(const QString& text, const QString& fingerprint, const QString& facts)
{
    m_waiting = false;
    m_answerText = text;
    m_text->setPlainText(text);
    m_fingerprint->setText(fingerprint);
    m_facts->setText(facts);
    m_save->setEnabled(!text.isEmpty());
}

void TryColumn::fail(const QString& words)
{
    m_waiting = false;
    m_facts->setText({});
    m_text->setHtml(QStringLiteral("<span style='color:%1'>%2</span>")
                        .arg(colours().error.name(), words.toHtmlEscaped()));
}

void TryColumn::clearAnswer()
{
    m_answerText.clear();
    m_text->clear();
    m_fingerprint->setText({});
    m_facts->setText({});
    m_save->setEnabled(false);
}

void TryColumn::mark(const QString& other)
{
    if (!m_answerText.isEmpty() && !other.isEmpty())
        m_text->setHtml(diffHtml(wordDiff(other, m_answerText), false));
}

void TryColumn::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    roundedRect(&painter, rect(), colours().base, colours().hairline(), 8);
}

} // namespace fettle::ui
