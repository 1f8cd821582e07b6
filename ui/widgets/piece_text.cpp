#include "ui/widgets/piece_text.h"

#include "ui/text/words.h"
#include "ui/theme/theme.h"

namespace fettle::ui {

namespace {

QString numbersOf(const recipes::SeenPiece& piece)
{
    QStringList numbers;
    for (const auto id : piece.ids)
        numbers << count(id);
    return numbers.join(QStringLiteral(" + "));
}

/// The piece with its spaces and line ends made visible, so that every piece can be seen.
QString shownText(const recipes::SeenPiece& piece)
{
    QString words = qs(piece.text);
    if (words.trimmed().isEmpty())
        words.replace(' ', QChar(0x00B7));
    return words.replace('\n', QStringLiteral("\u21B5\n"))
        .replace('\t', QStringLiteral("\u21E5\t"));
}

} // namespace

PieceText::PieceText(QWidget* parent)
    : QTextBrowser(parent)
{
    setOpenLinks(false);
    connect(&Theme::instance(), &Theme::changed, this, [this] {
        if (!m_pieces.empty())
            render();
    });
}

void PieceText::show(std::vector<recipes::SeenPiece> pieces, Borders borders)
{
    m_pieces = std::move(pieces);
    m_borders = borders;
    render();
}

void PieceText::showWords(const QString& words)
{
    m_pieces.clear();
    setPlainText(words);
}

void PieceText::render()
{
    clear();
    QTextCursor cursor(document());
    const Colours& c = colours();
    bool odd = false;
    for (const auto& piece : m_pieces) {
        QTextCharFormat format;
        format.setForeground(piece.mark ? c.secondText : c.text);
        if (piece.mark) {
            format.setFontFamilies({Theme::instance().font(TextRole::Fixed).families()});
            format.setFontPointSize(Theme::instance().font(TextRole::Small).pointSizeF());
        }
        if (m_borders == Borders::Shown) {
            if (odd)
                format.setBackground(c.hairline());
            format.setToolTip(piece.taught ? tr("Word piece %1, taught").arg(numbersOf(piece))
                                           : tr("Word piece %1").arg(numbersOf(piece)));
            odd = !odd;
        }
        if (piece.taught) {
            // Tint and underline both: a printed page and high contrast still show it.
            QColor tint = c.tint;
            if (m_borders == Borders::Shown && odd)
                tint = c.dark ? tint.lighter(135) : tint.darker(108);
            format.setBackground(c.highContrast ? QBrush() : QBrush(tint));
            format.setUnderlineStyle(QTextCharFormat::SingleUnderline);
            format.setUnderlineColor(c.accent);
        }
        cursor.insertText(m_borders == Borders::Shown ? shownText(piece) : qs(piece.text), format);
    }
    moveCursor(QTextCursor::Start);
}

} // namespace fettle::ui
