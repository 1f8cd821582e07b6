// Saving a plot: what is saved is what is seen, with its origin as metadata.
#include "ui/plots/canvas.h"
#include "ui/plots/plot_view.h"
#include "ui/theme/theme.h"
#include "ui/widgets/ask.h"

#include <QApplication>
#include <QClipboard>
#include <QDateTime>
#include <QImageWriter>
#include <QMenu>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QToolButton>

namespace fettle::ui {

QString PlotView::csv() const { return csvOf(m_curves, m_quantity); }

bool PlotView::saveTo(const QString& path, double scale)
{
    const QString title =
        QStringLiteral("%1 · %2 · %3")
            .arg(m_quantity, m_origin,
                 QLocale().toString(QDateTime::currentDateTime(), QLocale::ShortFormat));
    const QString ending = path.section('.', -1).toLower();
    if (ending == "csv") {
        QSaveFile file(path);
        const QByteArray bytes = csv().toUtf8();
        return file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() &&
               file.commit();
    }
    const QSize size = m_canvas->size().expandedTo({480, 280});
    bool good = false;
    m_canvas->prepareSaving(true, title);
    if (ending == "svg") {
        QSvgGenerator svg;
        svg.setFileName(path);
        svg.setSize(size);
        svg.setViewBox(QRect({}, size));
        svg.setTitle(title);
        svg.setDescription(summaryOf(m_curves, m_quantity));
        QCPPainter painter;
        good = painter.begin(&svg);
        painter.setMode(QCPPainter::pmVectorized);
        painter.setMode(QCPPainter::pmNoCaching);
        m_canvas->toPainter(&painter, size.width(), size.height());
        painter.end();
    } else if (ending == "pdf") {
        good = m_canvas->savePdf(path, size.width(), size.height(), QCP::epAllowCosmetic,
                                 QStringLiteral("Fettle"), title);
    } else {
        QImageWriter writer(path, "png");
        writer.setText("Title", title);
        writer.setText("Description", summaryOf(m_curves, m_quantity));
        good = writer.write(m_canvas->toPixmap(size.width(), size.height(), scale).toImage());
    }
    m_canvas->prepareSaving(false, {});
    m_canvas->refresh();
    return good;
}

void PlotView::askSave()
{
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    const auto add = [&](const QString& words, const QString& ending, double scale) {
        QAction* action = menu->addAction(words);
        action->setObjectName(m_name + "Save_" + ending + QString::number(scale));
        connect(action, &QAction::triggered, this, [this, ending, scale] {
            ask::saveFile(
                this, tr("Save plot"), m_quantity + '.' + ending,
                ending.toUpper() + " (*." + ending + ')', [this, ending, scale](QString path) {
                    if (path.isEmpty())
                        return;
                    if (!path.endsWith('.' + ending, Qt::CaseInsensitive))
                        path += '.' + ending;
                    if (!saveTo(path, scale))
                        Q_EMIT problem(
                            tr("The plot could not be written to %1. Choose another folder.")
                                .arg(path));
                });
        });
    };
    add(tr("Picture (PNG)"), "png", 1);
    add(tr("Picture, twice the size (PNG)"), "png", 2);
    add(tr("Picture, four times the size (PNG)"), "png", 4);
    add(tr("Drawing (SVG)"), "svg", 1);
    add(tr("Document (PDF)"), "pdf", 1);
    add(tr("Numbers (CSV)"), "csv", 1);
    menu->addSeparator();
    QAction* copy = menu->addAction(tr("Copy picture"));
    connect(copy, &QAction::triggered, this,
            [this] { QApplication::clipboard()->setPixmap(m_canvas->toPixmap(0, 0, 2)); });
    menu->popup(m_save->mapToGlobal(QPoint(0, m_save->height())));
}

} // namespace fettle::ui
