#pragma once

#include <QAbstractButton>

namespace fettle::ui {

/// A run in a plot's legend: its line, its marker, its name. Click or Space shows or hides it.
class LegendEntry : public QAbstractButton
{
    Q_OBJECT
public:
    LegendEntry(const QString& name, int colour, QWidget* parent = nullptr);
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    int m_colour;
};

/// Draws line and marker of a run into `rect`: legend, lists.
void paintRunSample(QPainter* painter, const QRect& rect, int colour);

} // namespace fettle::ui
