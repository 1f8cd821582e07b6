#pragma once

#include "ui/widgets/basics.h"

namespace fettle::ui {

/// Where files are dropped; a click or Enter asks for them instead.
class DropArea : public QAbstractButton
{
    Q_OBJECT
public:
    DropArea(const QString& name, const QString& chooseName, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return {280, 170}; }

Q_SIGNALS:
    void dropped(const QStringList& files);
    void asked();

protected:
    void paintEvent(QPaintEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
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
