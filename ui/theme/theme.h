#pragma once

#include <QColor>
#include <QFont>
#include <QObject>
#include <QPalette>

namespace fettle::ui {

enum class ThemeChoice
{
    System,
    Light,
    Dark,
    HighContrast,
    HighContrastDark
};

/// The palette's roles. Contrast of every pair that carries words is checked by a test.
struct Colours
{
    QColor window, base, text, secondText, outline, tint;
    QColor accent, onAccent, good, warning, error;
    QColor goodTint, warningTint, errorTint;
    bool dark = false;
    bool highContrast = false;

    /// Outline at a part of its strength over the base: card borders, grids.
    QColor hairline() const;
    /// The rail and headers: a shade off the window.
    QColor sunken() const;
    /// The window's colour moved towards the text: hovered controls.
    QColor hover() const;
};

enum class TextRole
{
    Body,
    Small,
    Group,
    Section,
    Heading,
    Number,
    Fixed
};

/// Colours and fonts of the program. Changes take effect at once, without a restart.
class Theme : public QObject
{
    Q_OBJECT
public:
    static Theme& instance();
    static Colours coloursOf(ThemeChoice choice); ///< System: what the desktop asks for now
    static QPalette paletteOf(const Colours& colours);

    /// Puts style, palette and font on the application. `textScale` from 0.8 to 2.0.
    void apply(ThemeChoice choice, double textScale);
    ThemeChoice choice() const { return m_choice; }
    const Colours& colours() const { return m_colours; }
    QFont font(TextRole role) const;
    /// Device-independent pixels, scaled with the text size.
    int px(double pixels) const { return qRound(pixels * m_textScale); }

Q_SIGNALS:
    void changed();

private:
    Theme() = default;

    ThemeChoice m_choice = ThemeChoice::System;
    Colours m_colours;
    double m_textScale = 1.0;
    QFont m_base;
    bool m_hasBase = false;
};

inline const Colours& colours() { return Theme::instance().colours(); }

} // namespace fettle::ui
