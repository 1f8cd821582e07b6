#include "ui/theme/icons.h"

#include "ui/theme/theme.h"

#include <QFile>
#include <QHash>
#include <QIconEngine>
#include <QPainter>
#include <QPixmapCache>
#include <QSvgRenderer>

/// The resources are in a static library: without this call the linker would leave them out.
static void initResources() { Q_INIT_RESOURCE(resources); }

namespace fettle::ui {

namespace {

/// Where a desktop keeps the same set, for a build without the resource file.
const QStringList kFallbackFolders = {"actions", "status", "places", "devices"};

QByteArray source(const QString& name)
{
    static QHash<QString, QByteArray> cache;
    if (const auto found = cache.constFind(name); found != cache.constEnd())
        return *found;
    [[maybe_unused]] static const bool loaded = (initResources(), true);
    QStringList paths{":/icons/" + name + ".svg"};
    for (const QString& folder : kFallbackFolders)
        paths << "/usr/share/icons/breeze/" + folder + "/22/" + name + ".svg";
    QByteArray bytes;
    for (const QString& path : paths) {
        QFile file(path);
        if (file.open(QIODevice::ReadOnly)) {
            bytes = file.readAll();
            break;
        }
    }
    cache.insert(name, bytes);
    return bytes;
}

QColor inkColour(Ink ink)
{
    const Colours& c = colours();
    switch (ink) {
    case Ink::Second:
        return c.secondText;
    case Ink::Accent:
        return c.accent;
    case Ink::OnAccent:
        return c.onAccent;
    case Ink::Good:
        return c.good;
    case Ink::Warning:
        return c.warning;
    case Ink::Error:
        return c.error;
    case Ink::Text:
        break;
    }
    return c.text;
}

QByteArray recoloured(QByteArray svg, Ink ink)
{
    const Colours& c = colours();
    // Icons outside the main ink keep their meaning: their colours follow the palette too.
    const std::pair<QByteArray, QColor> table[] = {{"#232629", inkColour(ink)},
                                                   {"#3daee9", c.accent},
                                                   {"#da4453", c.error},
                                                   {"#f67400", c.warning},
                                                   {"#27ae60", c.good}};
    for (const auto& [from, to] : table) {
        svg.replace(from, to.name().toLatin1());
        svg.replace(from.toUpper(), to.name().toLatin1());
    }
    return svg;
}

/// Renders on demand, so that an icon stays right after a change of theme.
class Engine final : public QIconEngine
{
public:
    Engine(QString name, Ink ink)
        : m_name(std::move(name))
        , m_ink(ink)
    {
    }

    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override
    {
        painter->save();
        if (mode == QIcon::Disabled)
            painter->setOpacity(0.4);
        const int side = qMin(rect.width(), rect.height());
        const QPixmap image =
            iconPixmap(m_name, side, m_ink, painter->device()->devicePixelRatioF());
        painter->drawPixmap(rect.x() + (rect.width() - side) / 2,
                            rect.y() + (rect.height() - side) / 2, image);
        painter->restore();
    }
    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override
    {
        return scaledPixmap(size, mode, state, 1.0);
    }
    QPixmap scaledPixmap(const QSize& size, QIcon::Mode mode, QIcon::State, qreal scale) override
    {
        // `size` is in device pixels; the caller marks the ratio on what it gets.
        QPixmap image =
            iconPixmap(m_name, qRound(qMin(size.width(), size.height()) / scale), m_ink, scale);
        if (mode == QIcon::Disabled) {
            QPixmap pale(image.size());
            pale.setDevicePixelRatio(image.devicePixelRatio());
            pale.fill(Qt::transparent);
            QPainter painter(&pale);
            painter.setOpacity(0.4);
            painter.drawPixmap(0, 0, image);
            return pale;
        }
        return image;
    }
    QIconEngine* clone() const override { return new Engine(*this); }
    QSize actualSize(const QSize& size, QIcon::Mode, QIcon::State) override { return size; }

private:
    QString m_name;
    Ink m_ink;
};

} // namespace

bool hasIcon(const QString& name) { return !source(name).isEmpty(); }

QIcon icon(const QString& name, Ink ink) { return QIcon(new Engine(name, ink)); }

QPixmap iconPixmap(const QString& name, int size, Ink ink, double pixelRatio)
{
    const QString key = QStringLiteral("%1/%2/%3/%4/%5")
                            .arg(name)
                            .arg(size)
                            .arg(pixelRatio)
                            .arg(inkColour(ink).rgba(), 0, 16)
                            .arg(colours().accent.rgba(), 0, 16);
    QPixmap image;
    if (QPixmapCache::find(key, &image))
        return image;
    const int side = qMax(1, qRound(size * pixelRatio));
    image = QPixmap(side, side);
    image.fill(Qt::transparent);
    if (const QByteArray svg = source(name); !svg.isEmpty()) {
        QSvgRenderer renderer(recoloured(svg, ink));
        QPainter painter(&image);
        renderer.render(&painter, QRectF(0, 0, side, side));
    }
    image.setDevicePixelRatio(pixelRatio);
    QPixmapCache::insert(key, image);
    return image;
}

QIcon programIcon()
{
    initResources();
    return QIcon(QStringLiteral(":/icons/fettle.svg"));
}

} // namespace fettle::ui
