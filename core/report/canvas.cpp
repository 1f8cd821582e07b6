#include "report/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cmath>
#include <numbers>

namespace fettle::report {

namespace {

constexpr double kBodySize = 13; // device-independent pixels

cairo_status_t append(void* target, const unsigned char* data, unsigned int size)
{
    static_cast<std::string*>(target)->append(reinterpret_cast<const char*>(data), size);
    return CAIRO_STATUS_SUCCESS;
}

cairo_surface_t* makeSurface(Canvas::Format format, double width, double height, double scale,
                             std::string* bytes)
{
    switch (format) {
    case Canvas::Format::Pdf:
        return cairo_pdf_surface_create_for_stream(append, bytes, width, height);
    case Canvas::Format::Svg:
        return cairo_svg_surface_create_for_stream(append, bytes, width, height);
    case Canvas::Format::Png:
        break;
    }
    auto* surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(std::lround(width * scale)),
                                   static_cast<int>(std::lround(height * scale)));
    cairo_surface_set_device_scale(surface, scale, scale);
    return surface;
}

void polygon(cairo_t* cr, double x, double y, double radius, int corners, double turn)
{
    for (int i = 0; i < corners; ++i) {
        const double angle = turn + 2 * std::numbers::pi * i / corners;
        cairo_line_to(cr, x + radius * std::cos(angle), y + radius * std::sin(angle));
    }
    cairo_close_path(cr);
}

void star(cairo_t* cr, double x, double y, double radius)
{
    for (int i = 0; i < 10; ++i) {
        const double angle = -std::numbers::pi / 2 + std::numbers::pi * i / 5;
        const double r = i % 2 ? radius * 0.45 : radius;
        cairo_line_to(cr, x + r * std::cos(angle), y + r * std::sin(angle));
    }
    cairo_close_path(cr);
}

/// Path of a marker; plus and cross are strokes, the others have an inside.
void markerPath(cairo_t* cr, Marker marker, double x, double y, double r)
{
    constexpr double quarter = std::numbers::pi / 2;
    cairo_new_path(cr);
    switch (marker) {
    case Marker::Disc:
        cairo_arc(cr, x, y, r, 0, 4 * quarter);
        break;
    case Marker::Square:
        cairo_rectangle(cr, x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
        break;
    case Marker::TriangleUp:
        polygon(cr, x, y, 1.2 * r, 3, -quarter);
        break;
    case Marker::TriangleDown:
        polygon(cr, x, y, 1.2 * r, 3, quarter);
        break;
    case Marker::Diamond:
        polygon(cr, x, y, 1.2 * r, 4, 0);
        break;
    case Marker::Star:
        star(cr, x, y, 1.4 * r);
        break;
    case Marker::Plus:
    case Marker::Cross: {
        const double a = marker == Marker::Plus ? r : 0.75 * r, b = marker == Marker::Plus ? 0 : a;
        cairo_move_to(cr, x - a, y - b);
        cairo_line_to(cr, x + a, y + b);
        cairo_move_to(cr, x - b, y + a);
        cairo_line_to(cr, x + b, y - a);
        break;
    }
    }
}

} // namespace

Canvas::Canvas(Format format, double width, double height, double scale, const std::string& title)
    : m_format(format)
    , m_surface(makeSurface(format, width, height, scale, &m_bytes), cairo_surface_destroy)
    , m_cairo(cairo_create(m_surface.get()), cairo_destroy)
{
    if (format == Format::Pdf)
        cairo_pdf_surface_set_metadata(m_surface.get(), CAIRO_PDF_METADATA_TITLE, title.c_str());
    colour(kGround);
    cairo_paint(cairo());
    cairo_set_line_join(cairo(), CAIRO_LINE_JOIN_ROUND);
}

void Canvas::colour(std::uint32_t rgb, double opacity) const
{
    cairo_set_source_rgba(cairo(), static_cast<double>(rgb >> 16 & 255) / 255,
                          static_cast<double>(rgb >> 8 & 255) / 255,
                          static_cast<double>(rgb & 255) / 255, opacity);
}

void Canvas::line(double x1, double y1, double x2, double y2, double width) const
{
    cairo_new_path(cairo());
    cairo_set_dash(cairo(), nullptr, 0, 0);
    cairo_set_line_width(cairo(), width);
    cairo_move_to(cairo(), x1, y1);
    cairo_line_to(cairo(), x2, y2);
    cairo_stroke(cairo());
}

void Canvas::font(double size, bool bold) const
{
    cairo_select_font_face(cairo(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo(), kBodySize * size);
}

double Canvas::textWidth(const std::string& text, double size, bool bold) const
{
    font(size, bold);
    cairo_text_extents_t extents;
    cairo_text_extents(cairo(), text.c_str(), &extents);
    return extents.x_advance;
}

void Canvas::text(double x, double y, const std::string& text, Anchor anchor, double size,
                  bool bold) const
{
    const double width = textWidth(text, size, bold);
    const double shift = anchor == Anchor::Left ? 0 : anchor == Anchor::Centre ? width / 2 : width;
    cairo_move_to(cairo(), x - shift, y);
    cairo_show_text(cairo(), text.c_str());
}

void Canvas::risingText(double x, double y, const std::string& text) const
{
    cairo_save(cairo());
    cairo_translate(cairo(), x, y);
    cairo_rotate(cairo(), -std::numbers::pi / 2);
    this->text(0, 0, text, Anchor::Centre);
    cairo_restore(cairo());
}

void Canvas::stroke(const RunStyle& style) const
{
    colour(style.colour);
    cairo_set_dash(cairo(), style.dashes.data(), static_cast<int>(style.dashes.size()), 0);
    cairo_set_line_width(cairo(), style.width);
    cairo_stroke(cairo());
    cairo_set_dash(cairo(), nullptr, 0, 0);
}

void Canvas::marker(double x, double y, const RunStyle& style, double radius) const
{
    markerPath(cairo(), style.marker, x, y, radius);
    if (style.marker != Marker::Plus && style.marker != Marker::Cross) {
        colour(kGround);
        cairo_fill_preserve(cairo());
    }
    colour(style.colour);
    cairo_set_line_width(cairo(), 1.8);
    cairo_stroke(cairo());
}

Result<std::string> Canvas::finish()
{
    cairo_status_t status = cairo_status(cairo());
    if (m_format == Format::Png && status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(m_surface.get(), append, &m_bytes);
    m_cairo.reset();
    cairo_surface_finish(m_surface.get());
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(m_surface.get());
    if (status != CAIRO_STATUS_SUCCESS)
        return Error{ErrorCode::Internal,
                     std::string("the picture could not be drawn: ") +
                         cairo_status_to_string(status),
                     "", "Choose a smaller size"};
    return std::move(m_bytes);
}

} // namespace fettle::report
