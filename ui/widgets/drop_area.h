#pragma once

#include "ui/widgets/basics.h"

namespace fettle::ui {

/// What a drop area says.
struct DropWords
{
    QString title, line, choose, help; ///< help: for screen readers
};

/// Where files are dropped; a click or Enter asks for them instead.
class DropArea : public QAbstractButton
{
    Q_OBJECT
public:
    enum class Shape
    {
        Page, ///< the middle of an empty place
        Strip ///< one line beside other things
    };
    DropArea(const QString& name, const QString& chooseName, const DropWords& words,
             Shape shape = Shape::Page, QWidget* parent = nullptr);
    /// The words for files of examples, with the kinds that open.
    static DropWords exampleWords();
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

Q_SIGNALS:
    void dropped(const QStringList& files);
    void asked();

protected:
    void paintEvent(QPaintEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void layPage(const DropWords& words, QPushButton* choose);
    void layStrip(const DropWords& words, QPushButton* choose);

    Shape m_shape;
    bool m_over = false;
};

/// A small curve without axes.
class SparkLine : public QWidget
{
    Q_OBJECT
public:
    explicit SparkLine(QWidget* parent = nullptr);
    void setValues(std::vector<double> values, int colour);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::vector<double> m_values;
    int m_colour = 0;
};

} // namespace fettle::ui
