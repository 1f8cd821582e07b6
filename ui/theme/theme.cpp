#include "ui/theme/theme.h"

#include "ui/theme/style.h"

#include <QApplication>
#include <QFile>
#include <QFontDatabase>
#include <QProcessEnvironment>
#include <QSettings>
#include <QStandardPaths>
#include <QToolTip>

namespace fettle::ui {

namespace {

QColor mixed(const QColor& a, const QColor& b, double part)
{
    return QColor::fromRgbF(static_cast<float>(a.redF() + (b.redF() - a.redF()) * part),
                            static_cast<float>(a.greenF() + (b.greenF() - a.greenF()) * part),
                            static_cast<float>(a.blueF() + (b.blueF() - a.blueF()) * part));
}

Colours light()
{
    return {"#F4F5F6", "#FFFFFF", "#1B1E21", "#5A6067", "#7A8088", "#CFE3F7", "#0B5CAD",
            "#FFFFFF", "#1A6B3A", "#8A5200", "#B3261E", "#D9EFDF", "#FDE9C8", "#FBDEDB"};
}

Colours dark()
{
    return {"#262B30", "#1D2125", "#E8EAEC", "#A9B0B7", "#7F878F", "#173A5C", "#7DB7F0", "#10151A",
            "#7FD19A", "#F0B95A", "#FF9A90", "#1C4229", "#4A3710", "#55231F", true};
}

Colours highContrast(bool onBlack)
{
    const QColor paper = onBlack ? "#000000" : "#FFFFFF";
    const QColor ink = onBlack ? "#FFFFFF" : "#000000";
    Colours c = onBlack ? dark() : light();
    c.window = c.base = paper;
    c.text = c.secondText = c.outline = ink;
    c.tint = onBlack ? "#173A5C" : "#CFE3F7";
    c.accent = onBlack ? "#9CCBFF" : "#003E7E";
    c.onAccent = paper;
    c.goodTint = c.warningTint = c.errorTint = paper;
    c.highContrast = true;
    return c;
}

/// The desktop's own answer where it writes one down, else the palette at start-up.
bool systemIsDark()
{
    static const bool startedDark = QPalette().color(QPalette::Window).lightness() < 128;
    const QString config = QStandardPaths::writableLocation(QStandardPaths::GenericConfigLocation);
    const QSettings gtk(config + "/gtk-3.0/settings.ini", QSettings::IniFormat);
    if (gtk.contains("Settings/gtk-application-prefer-dark-theme")) {
        const QString value = gtk.value("Settings/gtk-application-prefer-dark-theme").toString();
        return value == "1" || value == "true";
    }
    const QSettings kde(config + "/kdeglobals", QSettings::IniFormat);
    if (kde.contains("General/ColorScheme"))
        return kde.value("General/ColorScheme").toString().contains("dark", Qt::CaseInsensitive);
    return startedDark;
}

} // namespace

QColor Colours::hairline() const { return highContrast ? text : mixed(base, outline, 0.32); }

QColor Colours::sunken() const { return highContrast ? window : mixed(window, text, 0.035); }

QColor Colours::hover() const { return highContrast ? tint : mixed(base, text, 0.06); }

Theme& Theme::instance()
{
    static Theme theme;
    return theme;
}

Colours Theme::coloursOf(ThemeChoice choice)
{
    switch (choice) {
    case ThemeChoice::Light:
        return light();
    case ThemeChoice::Dark:
        return dark();
    case ThemeChoice::HighContrast:
        return highContrast(false);
    case ThemeChoice::HighContrastDark:
        return highContrast(true);
    case ThemeChoice::System:
        break;
    }
    return systemIsDark() ? dark() : light();
}

QPalette Theme::paletteOf(const Colours& c)
{
    QPalette p;
    p.setColor(QPalette::Window, c.window);
    p.setColor(QPalette::WindowText, c.text);
    p.setColor(QPalette::Base, c.base);
    p.setColor(QPalette::AlternateBase, mixed(c.base, c.window, 0.6));
    p.setColor(QPalette::Text, c.text);
    p.setColor(QPalette::Button, c.base);
    p.setColor(QPalette::ButtonText, c.text);
    p.setColor(QPalette::BrightText, c.error);
    p.setColor(QPalette::PlaceholderText, c.secondText);
    p.setColor(QPalette::Highlight, c.tint);
    p.setColor(QPalette::HighlightedText, c.text);
    p.setColor(QPalette::Link, c.accent);
    p.setColor(QPalette::LinkVisited, c.accent);
    p.setColor(QPalette::ToolTipBase, c.base);
    p.setColor(QPalette::ToolTipText, c.text);
    p.setColor(QPalette::Mid, c.outline);
    p.setColor(QPalette::Midlight, c.hairline());
    p.setColor(QPalette::Light, mixed(c.base, c.window, 0.5));
    p.setColor(QPalette::Dark, mixed(c.window, c.text, 0.25));
    p.setColor(QPalette::Shadow, mixed(c.window, c.text, 0.4));
    const QColor faint = mixed(c.secondText, c.window, 0.35);
    for (auto role :
         {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::HighlightedText})
        p.setColor(QPalette::Disabled, role, faint);
    return p;
}

void Theme::apply(ThemeChoice choice, double textScale)
{
    if (!m_hasBase) {
        m_base = QApplication::font();
        if (m_base.pointSizeF() <= 0)
            m_base.setPointSizeF(10);
        m_hasBase = true;
        systemIsDark(); // remembers the palette at start-up, before ours replaces it
        QApplication::setStyle(new Style);
    }
    m_choice = choice;
    m_textScale = qBound(0.8, textScale, 2.0);
    m_colours = coloursOf(choice);
    QFont font = m_base;
    font.setPointSizeF(m_base.pointSizeF() * m_textScale);
    QApplication::setFont(font);
    const QPalette palette = paletteOf(m_colours);
    QApplication::setPalette(palette);
    QToolTip::setPalette(palette);
    QToolTip::setFont(font);
    Q_EMIT changed();
}

QFont Theme::font(TextRole role) const
{
    QFont font = QApplication::font();
    const double size = font.pointSizeF();
    switch (role) {
    case TextRole::Body:
        break;
    case TextRole::Small:
        font.setPointSizeF(size * 0.9);
        break;
    case TextRole::Group:
        font.setWeight(QFont::DemiBold);
        break;
    case TextRole::Section:
        font.setPointSizeF(size * 1.25);
        font.setWeight(QFont::DemiBold);
        break;
    case TextRole::Heading:
        font.setPointSizeF(size * 1.6);
        font.setWeight(QFont::DemiBold);
        break;
    case TextRole::Number:
        font.setPointSizeF(size * 2.0);
        break;
    case TextRole::Fixed:
        font.setFamilies({QFontDatabase::systemFont(QFontDatabase::FixedFont).family()});
        font.setPointSizeF(size * 0.95);
        break;
    }
    return font;
}

} // namespace fettle::ui
