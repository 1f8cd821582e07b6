#pragma once

#include "base/param_spec.h"

#include <QFrame>
#include <QWidget>

class QLineEdit;

namespace fettle::ui {

class SpecForm;

/// All settings, searchable, each with its meaning: level three.
class PlanDrawer : public QWidget
{
    Q_OBJECT
public:
    explicit PlanDrawer(QWidget* parent = nullptr);
    void load(const ParamValues& values);
    SpecForm* form() const { return m_form; }
    void find(const QString& words);

Q_SIGNALS:
    void edited(const QString& key);
    void closed();

private:
    QLineEdit* m_search;
    SpecForm* m_form;
};

/// Memory needed against memory there is.
class MemoryBar : public QWidget
{
    Q_OBJECT
public:
    explicit MemoryBar(QWidget* parent = nullptr);
    void set(std::uint64_t needed, std::uint64_t available);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    double m_part = 0;
};

} // namespace fettle::ui
