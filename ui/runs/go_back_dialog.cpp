#include "ui/runs/go_back_dialog.h"

#include "ui/text/words.h"
#include "ui/widgets/basics.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <algorithm>

namespace fettle::ui {

GoBackDialog::GoBackDialog(std::vector<store::CheckpointRecord> savePoints, QWidget* parent)
    : QDialog(parent)
    , m_from(new QComboBox(this))
    , m_rate(new QComboBox(this))
{
    setAttribute(Qt::WA_DeleteOnClose);
    setObjectName("goBackDialog");
    setWindowTitle(tr("Go back to a save point"));
    m_from->setObjectName("goBackFromCombo");
    m_from->setAccessibleName(tr("Save point to go on from"));
    std::ranges::sort(savePoints, std::ranges::greater(), &store::CheckpointRecord::step);
    for (const auto& point : savePoints)
        m_from->addItem(tr("step %1%2").arg(count(point.step), point.best ? tr(" (best)") : QString()),
                        QVariant::fromValue<qlonglong>(point.step));
    m_rate->setObjectName("goBackRateCombo");
    m_rate->setAccessibleName(tr("Change per step from there on"));
    m_rate->addItem(tr("half as much"), 0.5);
    m_rate->addItem(tr("a quarter"), 0.25);
    m_rate->addItem(tr("as before"), 1.0);
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(Theme::instance().px(12));
    form->addRow(tr("Go on from"), m_from);
    form->addRow(tr("Change per step"), m_rate);
    auto* words = new Text(tr("What came behind this step is written anew. Half the change per step helps where the loss ran "
                              "away."),
                           TextRole::Body, Ink::Second, this);
    words->setWordWrap(true);
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(20, 20, 20, 16);
    box->setSpacing(Theme::instance().px(12));
    box->addLayout(form);
    box->addWidget(words);
    auto* row = new QHBoxLayout;
    auto* cancel = plainButton(tr("Cancel"), "goBackCancelButton", {}, this);
    auto* go = primaryButton(tr("Go on"), "goBackApplyButton", this);
    row->addStretch(1);
    row->addWidget(cancel);
    row->addWidget(go);
    box->addLayout(row);
    setMinimumWidth(Theme::instance().px(440));
    go->setDefault(true);
    connect(cancel, &QPushButton::clicked, this, &QDialog::reject);
    connect(go, &QPushButton::clicked, this, [this] {
        recipes::ResumeOptions options;
        options.from = m_from->currentData().toLongLong();
        if (const double rate = m_rate->currentData().toDouble(); rate != 1)
            options.rate = rate;
        accept();
        Q_EMIT chosen(options);
    });
}

} // namespace fettle::ui
