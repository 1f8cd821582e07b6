#include "ui/plots/plot_view.h"

#include "ui/plots/canvas.h"
#include "ui/plots/legend_entry.h"
#include "ui/plots/plot_table.h"
#include "ui/settings/preferences.h"
#include "ui/widgets/ask.h"
#include "ui/widgets/basics.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QMenu>
#include <QSlider>
#include <QStackedWidget>
#include <QTableView>

namespace fettle::ui {

namespace {

constexpr int kRedrawMilliseconds = 100; // at most ten times a second

} // namespace

PlotView::PlotView(const QString& name, const QString& quantity, const QString& unit,
                   QWidget* parent)
    : QWidget(parent)
    , m_name(name)
    , m_quantity(quantity)
    , m_unit(unit)
    , m_canvas(new PlotCanvas(this))
{
    setObjectName(name);
    createControls(name);
    createLayout();
    connectSignals();
    m_canvas->setCurves(&m_curves);
    optionsChanged();
}

void PlotView::createControls(const QString& name)
{
    m_canvas->setObjectName(name + "Canvas");
    m_canvas->setAccessibleName(tr("Plot of %1").arg(m_quantity));
    m_x = new QComboBox(this);
    m_x->setObjectName(name + "XCombo");
    m_x->setAccessibleName(tr("What the horizontal axis counts"));
    m_x->addItems(
        {tr("by step"), tr("by word pieces"), tr("by time"), tr("by time without pauses")});
    m_x->setProperty("quiet", true);
    m_smooth = new QSlider(Qt::Horizontal, this);
    m_smooth->setObjectName(name + "SmoothSlider");
    m_smooth->setRange(0, 500);
    m_smooth->setPageStep(20);
    m_smooth->setValue(Preferences::instance().value("plots/halfLife").toInt());
    m_smooth->setFixedWidth(Theme::instance().px(96));
    m_smooth->setAccessibleName(tr("Smoothing"));
    m_smooth->setAccessibleDescription(
        tr("Half-life in steps, 0 to 500; 0 shows every step as it was"));
    m_smooth->setToolTip(m_smooth->accessibleDescription());
    m_smoothWords = new Text({}, TextRole::Small, Ink::Second, this);
    m_log =
        toolButton("labplot-axis-vertical", tr("Logarithmic axis (L)"), name + "LogButton", this);
    m_log->setText(tr("log"));
    m_log->setToolButtonStyle(Qt::ToolButtonTextOnly);
    m_log->setCheckable(true);
    m_fit = toolButton("zoom-fit-best", tr("Fit everything in (0)"), name + "FitButton", this);
    m_tableButton = toolButton("table", tr("Show as a table (T)"), name + "TableButton", this);
    m_tableButton->setCheckable(true);
    m_save = toolButton("document-save", tr("Save or copy this plot (Ctrl+E)"), name + "SaveButton",
                        this);
    m_table = new QTableView(this);
    m_table->setObjectName(name + "Table");
    m_table->setAccessibleName(tr("Values of the plot"));
    m_table->verticalHeader()->hide();
    m_table->setShowGrid(false);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::Interactive);
    m_model = new PlotTable(&m_curves, this);
    m_table->setModel(m_model);
}

void PlotView::createLayout()
{
    auto* tools = new QHBoxLayout;
    tools->setSpacing(2);
    m_legend = new QWidget(this);
    auto* legend = new QHBoxLayout(m_legend);
    legend->setContentsMargins(0, 0, 0, 0);
    legend->setSpacing(2);
    tools->addWidget(m_legend);
    tools->addStretch(1);
    m_smoothBox = new QWidget(this);
    auto* smooth = new QHBoxLayout(m_smoothBox);
    smooth->setContentsMargins(0, 0, 8, 0);
    smooth->setSpacing(8);
    smooth->addWidget(m_smoothWords);
    smooth->addWidget(m_smooth);
    tools->addWidget(m_smoothBox);
    for (QWidget* w : std::initializer_list<QWidget*>{m_x, m_log, m_fit, m_tableButton, m_save})
        tools->addWidget(w);
    m_stack = new QStackedWidget(this);
    m_stack->addWidget(m_canvas);
    m_stack->addWidget(m_table);
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(0, 0, 0, 0);
    box->setSpacing(4);
    box->addLayout(tools);
    box->addWidget(m_stack, 1);
}

void PlotView::connectSignals()
{
    connect(m_x, &QComboBox::currentIndexChanged, this, &PlotView::optionsChanged);
    connect(m_smooth, &QSlider::valueChanged, this, [this](int value) {
        Preferences::instance().setValue("plots/halfLife", value);
        optionsChanged();
    });
    connect(&Preferences::instance(), &Preferences::changed, this, [this](const QString& key) {
        // One smoothing for every plot of the program.
        if (key == "plots/halfLife")
            m_smooth->setValue(Preferences::instance().value(key).toInt());
    });
    connect(m_log, &QToolButton::toggled, this, &PlotView::optionsChanged);
    connect(m_fit, &QToolButton::clicked, m_canvas, &PlotCanvas::fit);
    connect(m_tableButton, &QToolButton::toggled, this, &PlotView::showTable);
    connect(m_save, &QToolButton::clicked, this, &PlotView::askSave);
    m_redrawTimer.setSingleShot(true);
    m_redrawTimer.setInterval(kRedrawMilliseconds);
    connect(&m_redrawTimer, &QTimer::timeout, this, &PlotView::redraw);
}

void PlotView::optionsChanged()
{
    m_smoothWords->setText(m_smooth->value() > 0
                               ? tr("smoothed, half-life %n step(s)", nullptr, m_smooth->value())
                               : tr("every step"));
    m_canvas->setOptions({static_cast<XAxis>(m_x->currentIndex()),
                          m_smoothed ? static_cast<double>(m_smooth->value()) : 0.0,
                          m_log->isChecked(), m_quantity, m_unit});
    ++m_redraws;
}

void PlotView::setQuantity(const QString& quantity, const QString& unit, bool smooth)
{
    m_smoothed = smooth;
    m_quantity = quantity;
    m_unit = unit;
    m_canvas->setAccessibleName(tr("Plot of %1").arg(quantity));
    optionsChanged();
}

void PlotView::setCurves(std::vector<Curve> curves)
{
    for (Curve& curve : curves) {
        alignChecks(curve);
        for (const Curve& old : m_curves) {
            if (old.id == curve.id)
                curve.visible = old.visible;
        }
    }
    m_curves = std::move(curves);
    m_canvas->setCurves(&m_curves);
    refreshLegend();
    redraw();
}

void PlotView::appendPoints(const QString& id, const std::vector<PlotPoint>& points)
{
    for (Curve& curve : m_curves) {
        if (curve.id != id)
            continue;
        for (const PlotPoint& point : points) {
            while (!curve.raw.empty() && curve.raw.back().step >= point.step)
                curve.raw.pop_back(); // the run went back to a save point: later steps are void
            curve.raw.push_back(point);
        }
        scheduleRedraw();
    }
}

void PlotView::appendCheck(const QString& id, const CheckValue& check)
{
    for (Curve& curve : m_curves) {
        if (curve.id != id)
            continue;
        while (!curve.checks.empty() && curve.checks.back().at.step >= check.at.step)
            curve.checks.pop_back();
        if (check.best) {
            for (CheckValue& old : curve.checks)
                old.best = false;
        }
        curve.checks.push_back(check);
        alignChecks(curve);
        scheduleRedraw();
    }
}

void PlotView::scheduleRedraw()
{
    if (!m_redrawTimer.isActive())
        m_redrawTimer.start();
}

void PlotView::redraw()
{
    ++m_redraws;
    if (m_tableButton->isChecked())
        static_cast<PlotTable*>(m_model)->reload();
    else
        m_canvas->refresh();
    m_canvas->setAccessibleDescription(summaryOf(m_curves, m_quantity));
}

void PlotView::refreshLegend()
{
    clearLayout(m_legend->layout());
    for (std::size_t i = 0; i < m_curves.size(); ++i) {
        auto* entry = new LegendEntry(m_curves[i].name, m_curves[i].colour, m_legend);
        entry->setObjectName(QStringLiteral("%1Legend_%2").arg(m_name).arg(i));
        entry->setChecked(m_curves[i].visible);
        connect(entry, &LegendEntry::toggled, this, [this, i](bool on) {
            if (i < m_curves.size())
                m_curves[i].visible = on;
            redraw();
        });
        m_legend->layout()->addWidget(entry);
    }
}

void PlotView::follow(PlotView* leader)
{
    m_x->setVisible(false);
    m_smoothBox->setVisible(false);
    m_x->setCurrentIndex(leader->m_x->currentIndex());
    connect(leader->m_x, &QComboBox::currentIndexChanged, m_x, &QComboBox::setCurrentIndex);
    connect(leader->m_canvas, &PlotCanvas::xRangeChanged, m_canvas, &PlotCanvas::setXRange);
    connect(m_canvas, &PlotCanvas::xRangeChanged, leader->m_canvas,
            [leader](double from, double to, bool byPerson) {
                if (byPerson)
                    leader->m_canvas->setXRange(from, to, true);
            });
    m_canvas->setFollower(true);
    connect(m_canvas, &PlotCanvas::fitted, leader->m_canvas, &PlotCanvas::fit);
}

void PlotView::setControlsVisible(bool smoothing, bool x)
{
    m_smoothBox->setVisible(smoothing);
    m_x->setVisible(x);
}

void PlotView::showTable(bool on)
{
    if (on)
        static_cast<PlotTable*>(m_model)->reload();
    m_stack->setCurrentIndex(on ? 1 : 0);
    if (!on)
        m_canvas->refresh();
}

void PlotView::keyPressEvent(QKeyEvent* event)
{
    if (event->modifiers() & (Qt::ControlModifier | Qt::AltModifier)) {
        QWidget::keyPressEvent(event);
        return;
    }
    switch (event->key()) {
    case Qt::Key_L:
        m_log->toggle();
        return;
    case Qt::Key_T:
        m_tableButton->toggle();
        return;
    case Qt::Key_S:
        if (m_smoothBox->isVisible())
            m_smooth->setFocus();
        return;
    default:
        QWidget::keyPressEvent(event);
    }
}

} // namespace fettle::ui
