#pragma once

#include <QIcon>
#include <QPixmap>
#include <QString>

namespace fettle::ui {

/// Which palette colour an icon's ink takes.
enum class Ink
{
    Text,
    Second,
    Accent,
    OnAccent,
    Good,
    Warning,
    Error
};

/// The icon of this name in the present palette's colours. Widgets ask again when the theme
/// changes.
QIcon icon(const QString& name, Ink ink = Ink::Text);
/// A rendered icon, `size` in device-independent pixels.
QPixmap iconPixmap(const QString& name, int size, Ink ink, double pixelRatio);
/// The program's own icon.
QIcon programIcon();
/// True when the set has this icon (tests).
bool hasIcon(const QString& name);

} // namespace fettle::ui
