#pragma once

#include "ui/plots/plot_data.h"

#include <QTimer>
#include <QWidget>

class QAbstractTableModel;
class QComboBox;
class QLabel;
class QSlider;
class QStackedWidget;
class QTableView;
class QToolButton;

namespace fettle::ui {

class PlotCanvas;
class Text;

/// The one plot of the program: curves of several runs, raw under smoothed, checks with ranges.
/// Controls are named after the plot: <name>XCombo, <name>SmoothSlider, <name>LogButton ...
class PlotView : public QWidget
{
    Q_OBJECT
public:
    /// `quantity` and `unit` are words of the y axis: "loss", "nats per piece".
    PlotView(const QString& name, const QString& quantity, const QString& unit,
             QWidget* parent = nullptr);

    void setCurves(std::vector<Curve> curves);
    const std::vector<Curve>& curves() const { return m_curves; }
    /// Adds newer points to a curve; drawn within 100 ms, never sooner than 100 ms after the last
    /// time.
    void appendPoints(const QString& id, const std::vector<PlotPoint>& points);
    void appendCheck(const QString& id, const CheckValue& check);
    /// `smooth`: false for quantities that are set and not measured, such as the change per step.
    void setQuantity(const QString& quantity, const QString& unit, bool smooth = true);
    /// One x axis for two plots; the follower has no control for it.
    void follow(PlotView* leader);
    void setControlsVisible(bool smoothing, bool x);
    /// Words that go into saved pictures: workspace, fingerprints.
    void setOrigin(const QString& origin) { m_origin = origin; }

    bool saveTo(const QString& path, double scale = 2); ///< by the ending: png, svg, pdf, csv
    QString csv() const;
    int redraws() const { return m_redraws; }

Q_SIGNALS:
    void problem(const QString& sentence);

protected:
    void keyPressEvent(QKeyEvent* event) override;

private:
    void createControls(const QString& name);
    void createLayout();
    void connectSignals();
    void optionsChanged();
    void scheduleRedraw();
    void redraw();
    void refreshLegend();
    void showTable(bool on);
    void askSave();
    QString xName() const;

    QString m_name, m_quantity, m_unit, m_origin;
    std::vector<Curve> m_curves;
    PlotCanvas* m_canvas;
    QComboBox* m_x;
    QSlider* m_smooth;
    Text* m_smoothWords;
    QToolButton *m_log, *m_fit, *m_tableButton, *m_save;
    QWidget* m_legend;
    QStackedWidget* m_stack;
    QTableView* m_table;
    QAbstractTableModel* m_model = nullptr;
    QWidget* m_smoothBox;
    QTimer m_redrawTimer;
    int m_redraws = 0;
    bool m_smoothed = true;
};

} // namespace fettle::ui
