#pragma once

#include "recipes/seen_pieces.h"

#include <QTextBrowser>

namespace fettle::ui {

/// Text as a model reads it: marks of the conversation form in small fixed type, taught words
/// tinted and underlined. Follows the theme.
class PieceText : public QTextBrowser
{
    Q_OBJECT
public:
    enum class Borders
    {
        Hidden,
        Shown ///< word pieces alternate between two shades; each tells its number when pointed at
    };
    explicit PieceText(QWidget* parent = nullptr);

    void show(std::vector<recipes::SeenPiece> pieces, Borders borders);
    /// Words without pieces: an empty state, a problem.
    void showWords(const QString& words);

private:
    void render();

    std::vector<recipes::SeenPiece> m_pieces;
    Borders m_borders = Borders::Hidden;
};

} // namespace fettle::ui
