#pragma once

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QBoxLayout>
#include <QFrame>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>

class QFormLayout;

namespace fettle::ui {

/// A label with a role of the type scale; follows theme and text size.
class Text : public QLabel
{
    Q_OBJECT
public:
    explicit Text(const QString& text, TextRole role = TextRole::Body, Ink ink = Ink::Text,
                  QWidget* parent = nullptr);
    void setInk(Ink ink);
    /// Cut in the middle with an ellipsis when there is no room; whole in the tooltip.
    void setElided(bool elided);
    void setText(const QString& text);
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void refresh();

    TextRole m_role;
    Ink m_ink;
    bool m_elided = false;
};

/// A small icon that follows the theme.
class IconLabel : public QLabel
{
    Q_OBJECT
public:
    IconLabel(const QString& name, int size, Ink ink, QWidget* parent = nullptr);
    void setIcon(const QString& name, Ink ink);

private:
    void refresh();

    QString m_name;
    int m_size;
    Ink m_ink;
};

/// A panel on the base colour with a hairline and round corners.
class Card : public QFrame
{
    Q_OBJECT
public:
    enum class Kind
    {
        Plain,
        Sunken,
        Tinted,
        Drop
    };
    explicit Card(QWidget* parent = nullptr, Kind kind = Kind::Plain);
    void setKind(Kind kind);
    QVBoxLayout* box() const { return m_box; }
    /// A heading inside the card's top edge.
    Text* addTitle(const QString& title);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Kind m_kind;
    QVBoxLayout* m_box;
};

/// A card that acts as a button (recent workspaces, tiles). Checkable where a choice is meant.
class CardButton : public QAbstractButton
{
    Q_OBJECT
public:
    explicit CardButton(QWidget* parent = nullptr);
    QVBoxLayout* box() const { return m_box; }
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void changeEvent(QEvent* event) override;

private:
    QVBoxLayout* m_box;
};

QPushButton* primaryButton(const QString& text, const QString& name, QWidget* parent = nullptr);
QPushButton* plainButton(const QString& text, const QString& name, const QString& iconName = {},
                         QWidget* parent = nullptr);
QPushButton* quietButton(const QString& text, const QString& name, const QString& iconName = {},
                         QWidget* parent = nullptr);
QToolButton* toolButton(const QString& iconName, const QString& words, const QString& name,
                        QWidget* parent = nullptr);
/// A one-pixel line between areas.
QFrame* hairline(QWidget* parent = nullptr, Qt::Orientation orientation = Qt::Horizontal);
/// A scroll area without a frame on the window's colour around `content`.
QWidget* scrolled(QWidget* content, const QString& name);
/// Removes and deletes everything in a layout.
void clearLayout(QLayout* layout);

} // namespace fettle::ui
