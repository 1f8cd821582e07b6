#pragma once

#include <QProxyStyle>

namespace fettle::ui {

/// Fusion with our spacing, rounded controls and a focus ring. Controls with the dynamic property
/// "main" are the page's main button; "quiet" ones have no outline until hovered.
class Style : public QProxyStyle
{
    Q_OBJECT
public:
    Style();

    int pixelMetric(PixelMetric metric, const QStyleOption* option,
                    const QWidget* widget) const override;
    int styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                  QStyleHintReturn* data) const override;
    QSize sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& size,
                           const QWidget* widget) const override;
    QRect subControlRect(ComplexControl control, const QStyleOptionComplex* option, SubControl sub,
                         const QWidget* widget) const override;
    QRect subElementRect(SubElement element, const QStyleOption* option,
                         const QWidget* widget) const override;
    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override;
    void drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                     const QWidget* widget) const override;
    void drawComplexControl(ComplexControl control, const QStyleOptionComplex* option,
                            QPainter* painter, const QWidget* widget) const override;
    using QProxyStyle::polish;
    void polish(QWidget* widget) override;

private:
    void drawButton(const QStyleOptionButton* option, QPainter* painter,
                    const QWidget* widget) const;
    void drawField(const QStyleOption* option, QPainter* painter, bool focus) const;
    void drawCheck(const QStyleOption* option, QPainter* painter, bool round) const;
    void drawTab(const QStyleOptionTab* option, QPainter* painter) const;
    void drawCombo(const QStyleOptionComboBox* option, QPainter* painter,
                   const QWidget* widget) const;
    void drawSpin(const QStyleOptionSpinBox* option, QPainter* painter,
                  const QWidget* widget) const;
    void drawSlider(const QStyleOptionSlider* option, QPainter* painter,
                    const QWidget* widget) const;
    void drawScrollBar(const QStyleOptionSlider* option, QPainter* painter,
                       const QWidget* widget) const;
    void drawToolButton(const QStyleOptionToolButton* option, QPainter* painter,
                        const QWidget* widget) const;
    void drawHeader(const QStyleOptionHeader* option, QPainter* painter) const;
};

/// A rounded rectangle with sharp one-pixel edges.
void roundedRect(QPainter* painter, const QRect& rect, const QColor& fill, const QColor& edge,
                 double radius = 6, double width = 1);
/// True when the widget has the focus and it came there by keyboard: a mouse needs no ring.
bool hasKeyboardFocus(const QWidget* widget);
/// The focus ring: 2 px in the accent colour.
void focusRing(QPainter* painter, const QRect& rect, double radius = 6);

} // namespace fettle::ui
