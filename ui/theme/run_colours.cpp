#include "ui/theme/run_colours.h"

namespace fettle::ui {

const std::array<RunLook, 8>& runLooks()
{
    static const std::array<RunLook, 8> looks{{
        {"#003FC4", "#85A2E0", Qt::SolidLine, {}, 2, Marker::Disc},
        {"#A83C00", "#DF8620", Qt::DashLine, {}, 2, Marker::Square},
        {"#1D7A55", "#37916A", Qt::DotLine, {}, 2, Marker::TriangleUp},
        {"#F4257E", "#D92B99", Qt::SolidLine, {}, 3, Marker::Diamond},
        {"#2A97A6", "#99EEFF", Qt::DashDotLine, {}, 2, Marker::TriangleDown},
        {"#999400", "#FFE8B2", Qt::CustomDashLine, {9, 3}, 2, Marker::Plus},
        {"#B05CF8", "#8A58FF", Qt::DashDotDotLine, {}, 2, Marker::Cross},
        {"#202428", "#A8A8A8", Qt::CustomDashLine, {2, 2}, 2, Marker::Star},
    }};
    return looks;
}

RunLook runLook(int number)
{
    const auto& looks = runLooks();
    const auto index = static_cast<std::size_t>(qMax(0, number));
    RunLook look = looks[index % 8];
    const RunLook& line = looks[(index + index / 8) % 8];
    look.line = line.line;
    look.dashes = line.dashes;
    look.width = line.width;
    return look;
}

QColor runColour(int number, bool onDark)
{
    const RunLook look = runLook(number);
    return onDark ? look.dark : look.light;
}

QPen runPen(int number, bool onDark)
{
    const RunLook look = runLook(number);
    QPen pen(onDark ? look.dark : look.light, look.width, look.line, Qt::FlatCap, Qt::RoundJoin);
    if (look.line == Qt::CustomDashLine)
        pen.setDashPattern(look.dashes);
    return pen;
}

} // namespace fettle::ui
