#include "ui/widgets/drop_area.h"

#include "data/import.h"
#include "ui/text/words.h"
#include "ui/theme/run_colours.h"
#include "ui/theme/style.h"

#include <QDragEnterEvent>
#include <QMimeData>
#include <QPainter>
#include <QPainterPath>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace fettle::ui {

DropWords DropArea::exampleWords()
{
    QStringList kinds;
    for (const std::string& ending : data::importableExtensions())
        kinds << qs(ending).toUpper();
    kinds.removeDuplicates();
    return {tr("Drop your examples here"), kinds.join(", "), tr("Choose a file"),
            tr("Drop your examples here, or press Enter to choose a file")};
}

DropArea::DropArea(const QString& name, const QString& chooseName, const DropWords& words,
                   Shape shape, QWidget* parent)
    : QAbstractButton(parent)
    , m_shape(shape)
{
    setObjectName(name);
    setAcceptDrops(true);
    setFocusPolicy(Qt::StrongFocus);
    setAttribute(Qt::WA_Hover);
    setCursor(Qt::PointingHandCursor);
    setAccessibleName(words.help);
    auto* choose = plainButton(words.choose, chooseName, "document-open", this);
    if (shape == Shape::Page)
        layPage(words, choose);
    else
        layStrip(words, choose);
    connect(choose, &QPushButton::clicked, this, &DropArea::asked);
    connect(this, &QAbstractButton::clicked, this, &DropArea::asked);
}

void DropArea::layPage(const DropWords& words, QPushButton* choose)
{
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(24, 24, 24, 24);
    box->setSpacing(Theme::instance().px(6));
    box->addStretch(1);
    box->addWidget(new IconLabel("document-import", 40, Ink::Accent, this), 0, Qt::AlignHCenter);
    box->addSpacing(6);
    auto* title = new Text(words.title, TextRole::Section, Ink::Text, this);
    auto* line = new Text(words.line, TextRole::Small, Ink::Second, this);
    line->setToolTip(tr("Kinds of files that open"));
    for (Text* text : {title, line}) {
        text->setAlignment(Qt::AlignHCenter);
        text->setAttribute(Qt::WA_TransparentForMouseEvents);
        box->addWidget(text);
    }
    box->addSpacing(8);
    box->addWidget(choose, 0, Qt::AlignHCenter);
    box->addStretch(1);
}

void DropArea::layStrip(const DropWords& words, QPushButton* choose)
{
    auto* box = new QHBoxLayout(this);
    box->setContentsMargins(16, 12, 16, 12);
    box->setSpacing(Theme::instance().px(12));
    box->addWidget(new IconLabel("document-import", 22, Ink::Accent, this));
    auto* lines = new QVBoxLayout;
    lines->setSpacing(2);
    lines->addWidget(new Text(words.title, TextRole::Group, Ink::Text, this));
    auto* line = new Text(words.line, TextRole::Small, Ink::Second, this);
    line->setWordWrap(true);
    lines->addWidget(line);
    box->addLayout(lines, 1);
    box->addWidget(choose);
    for (Text* text : findChildren<Text*>())
        text->setAttribute(Qt::WA_TransparentForMouseEvents);
}

QSize DropArea::sizeHint() const
{
    return m_shape == Shape::Page ? QSize(560, 240) : QSize(420, Theme::instance().px(76));
}

QSize DropArea::minimumSizeHint() const
{
    return m_shape == Shape::Page ? QSize(280, 170) : QSize(280, Theme::instance().px(76));
}

void DropArea::paintEvent(QPaintEvent*)
{
    const Colours& c = colours();
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setBrush(m_over ? c.tint : underMouse() ? c.hover() : c.base);
    painter.setPen(QPen(m_over ? c.accent : c.outline, m_over ? 2 : 1.4, Qt::DashLine));
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 10, 10);
    if (hasKeyboardFocus(this))
        focusRing(&painter, rect(), 10);
}

void DropArea::dragEnterEvent(QDragEnterEvent* event)
{
    if (!event->mimeData()->hasUrls())
        return;
    event->acceptProposedAction();
    m_over = true;
    update();
}

void DropArea::dragLeaveEvent(QDragLeaveEvent*)
{
    m_over = false;
    update();
}

void DropArea::dropEvent(QDropEvent* event)
{
    m_over = false;
    update();
    QStringList files;
    for (const QUrl& url : event->mimeData()->urls()) {
        if (url.isLocalFile())
            files << url.toLocalFile();
    }
    event->acceptProposedAction();
    if (!files.isEmpty())
        Q_EMIT dropped(files);
}

SparkLine::SparkLine(QWidget* parent)
    : QWidget(parent)
{
    setFixedHeight(40);
}

void SparkLine::setValues(std::vector<double> values, int colour)
{
    std::erase_if(values, [](double v) { return !std::isfinite(v); });
    m_values = std::move(values);
    m_colour = colour;
    update();
}

void SparkLine::paintEvent(QPaintEvent*)
{
    if (m_values.size() < 2)
        return;
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const auto [low, high] = std::ranges::minmax(m_values);
    const double span = std::max(1e-12, high - low);
    QPolygonF line;
    for (std::size_t i = 0; i < m_values.size(); ++i)
        line << QPointF(1 + (width() - 2.0) * static_cast<double>(i) /
                                static_cast<double>(m_values.size() - 1),
                        3 + (height() - 6.0) * (1 - (m_values[i] - low) / span));
    QPen pen(runColour(m_colour, colours().dark), 1.8);
    painter.setPen(pen);
    painter.drawPolyline(line);
}

} // namespace fettle::ui
