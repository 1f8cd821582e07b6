#pragma once

#include "ui/plots/plot_data.h"

// The only place that includes it; canvas.h itself is included by the files of PlotView alone.
// The header is written with Qt's keywords, which the whole build leaves out (QT_NO_KEYWORDS).
#define signals Q_SIGNALS
#define slots Q_SLOTS
#define foreach Q_FOREACH
#include <qcustomplot.h>
#undef signals
#undef slots
#undef foreach

#include <map>

namespace fettle::ui {

struct PlotOptions
{
    XAxis x = XAxis::Step;
    double halfLife = 20;
    bool logarithmic = false;
    QString quantity, unit; ///< "loss", "nats per piece"
};

/// The drawing surface behind PlotView: layers, ranges, hover, keys.
class PlotCanvas : public QCustomPlot
{
    Q_OBJECT
public:
    explicit PlotCanvas(QWidget* parent = nullptr);

    void setCurves(const std::vector<Curve>* curves); ///< owned by the view; a new set of runs
    void setOptions(const PlotOptions& options);
    const PlotOptions& options() const { return m_options; }
    /// Draws what is there now. The view calls it at most ten times a second.
    void refresh();
    void fit();
    void setXRange(double from, double to, bool byPerson);
    /// Takes its x range from another plot and never fits it by itself.
    void setFollower(bool on) { m_follower = on; }
    void moveReadingLine(int by);
    QString readingText() const { return m_reading; }
    void prepareSaving(bool on, const QString& title);

Q_SIGNALS:
    void xRangeChanged(double from, double to, bool byPerson);
    void readingChanged(const QString& text);
    void fitted();

protected:
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    struct Graphs
    {
        QCPGraph *low = nullptr, *high = nullptr, *smooth = nullptr, *checks = nullptr,
                 *best = nullptr, *gaps = nullptr;
        QCPErrorBars* whiskers = nullptr;
        std::vector<double> x, value, smoothed; // all points, for hover and envelopes
    };

    void build();
    void applyTheme();
    void applyAxes();
    void computeValues();
    void drawCurves();
    void drawMarks();
    void style(Graphs& graphs, const Curve& curve);
    void showReading(double x, const QPoint& at);
    void drawReadingLine();
    QString readingAt(double x) const;

    const std::vector<Curve>* m_curves = nullptr;
    PlotOptions m_options;
    std::map<QString, Graphs> m_graphs;
    QLabel* m_hover;
    QCPItemStraightLine* m_line = nullptr;
    QCPTextElement* m_title = nullptr;
    QString m_reading;
    double m_readingX = 0;
    bool m_zoomed = false; // by the person: live data does not move the picture
    bool m_follower = false;
    bool m_saving = false;
};

} // namespace fettle::ui
