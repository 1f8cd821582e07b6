#pragma once

#include <QAbstractButton>
#include <QButtonGroup>
#include <QFrame>

namespace fettle::ui {

/// One place on the rail: icon over word, a dot when there is news.
class RailButton : public QAbstractButton
{
    Q_OBJECT
public:
    RailButton(const QString& words, const QString& iconName, QWidget* parent = nullptr);
    void setNews(bool news);
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString m_icon;
    bool m_news = false;
};

/// The way between places, at the window's left.
class Rail : public QFrame
{
    Q_OBJECT
public:
    explicit Rail(QWidget* parent = nullptr);
    void setCurrent(const QString& place);
    void setNews(const QString& place, bool news);

Q_SIGNALS:
    void chosen(const QString& place);

protected:
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    QButtonGroup m_group;
};

/// Names, words and icons of the places in the rail's order.
struct PlaceName
{
    QString name, words, icon;
};
const QList<PlaceName>& placeNames();

} // namespace fettle::ui
