#pragma once

#include <QColor>
#include <QPen>
#include <QString>
#include <array>

namespace fettle::ui {

enum class Marker
{
    Disc,
    Square,
    TriangleUp,
    Diamond,
    TriangleDown,
    Plus,
    Cross,
    Star
};

/// How a run looks for life: colour, line and marker, so that colour is never the only cue.
struct RunLook
{
    QColor light, dark;
    Qt::PenStyle line = Qt::SolidLine;
    QList<qreal> dashes; ///< for Qt::CustomDashLine
    double width = 2;
    Marker marker = Marker::Disc;
};

/// The table of eight; the ninth run starts again with the line style moved on by one.
const std::array<RunLook, 8>& runLooks();
RunLook runLook(int number);
QColor runColour(int number, bool onDark);
QPen runPen(int number, bool onDark);

} // namespace fettle::ui
