#include "ui/data/split_dialog.h"

#include "ui/text/words.h"
#include "ui/widgets/basics.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QSpinBox>
#include <cmath>

namespace fettle::ui {

SplitDialog::SplitDialog(std::int64_t rows, bool hasGroups, bool hasClasses, QWidget* parent)
    : QDialog(parent)
    , m_rows(rows)
    , m_kind(new QComboBox(this))
    , m_shares(new QLineEdit("80/10/10", this))
    , m_seed(new QSpinBox(this))
    , m_guard(new Text({}, TextRole::Body, Ink::Second, this))
    , m_apply(primaryButton(tr("Divide"), "splitApplyButton", this))
{
    setAttribute(Qt::WA_DeleteOnClose);
    setObjectName("splitDialog");
    setWindowTitle(tr("Divide the rows"));
    m_kind->setObjectName("splitKindCombo");
    m_kind->setAccessibleName(tr("How rows are divided"));
    m_kind->addItem(tr("shuffled"), 0);
    if (hasClasses)
        m_kind->addItem(tr("keep proportions of the classes"), 1);
    if (hasGroups)
        m_kind->addItem(tr("keep groups together"), 2);
    m_shares->setObjectName("splitSharesEdit");
    m_shares->setAccessibleName(tr("Shares in per cent: training, checking, test"));
    m_shares->setToolTip(m_shares->accessibleName());
    m_seed->setObjectName("splitSeedSpin");
    m_seed->setRange(0, 1'000'000'000);
    m_seed->setValue(42);
    m_seed->setAccessibleName(tr("Random start"));
    m_seed->setToolTip(wordTip("random start"));
    m_guard->setObjectName("splitGuardLabel");
    m_guard->setWordWrap(true);
    m_guard->setMinimumHeight(Theme::instance().px(56));
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(Theme::instance().px(12));
    form->addRow(tr("Divide"), m_kind);
    form->addRow(tr("Training / checking / test"), m_shares);
    form->addRow(tr("Random start"), m_seed);
    auto* box = new QVBoxLayout(this);
    box->setContentsMargins(20, 20, 20, 16);
    box->setSpacing(Theme::instance().px(12));
    box->addLayout(form);
    box->addWidget(m_guard);
    auto* row = new QHBoxLayout;
    auto* cancel = plainButton(tr("Cancel"), "splitCancelButton", {}, this);
    row->addStretch(1);
    row->addWidget(cancel);
    row->addWidget(m_apply);
    box->addLayout(row);
    setMinimumWidth(Theme::instance().px(440));
    m_apply->setDefault(true);
    connect(cancel, &QPushButton::clicked, this, &QDialog::reject);
    connect(m_shares, &QLineEdit::textChanged, this, &SplitDialog::refresh);
    connect(m_apply, &QPushButton::clicked, this, [this] {
        if (auto p = plan()) {
            accept();
            Q_EMIT chosen(*p);
        }
    });
    refresh();
}

Result<data::SplitPlan> SplitDialog::plan() const
{
    auto shares = data::parseShares(ss(m_shares->text()));
    if (!shares)
        return shares.error();
    data::SplitPlan plan;
    plan.shares = *shares;
    plan.seed = static_cast<std::uint64_t>(m_seed->value());
    plan.proportional = m_kind->currentData().toInt() == 1;
    plan.byGroup = m_kind->currentData().toInt() == 2;
    return plan;
}

void SplitDialog::refresh()
{
    const auto p = plan();
    m_apply->setEnabled(static_cast<bool>(p));
    if (!p) {
        m_guard->setInk(Ink::Error);
        m_guard->setText(sentence(p.error()));
        return;
    }
    const auto part = [&](int i) {
        return count(std::llround(p->shares[static_cast<std::size_t>(i)] * double(m_rows)));
    };
    m_guard->setInk(Ink::Second);
    m_guard->setText(tr("About %1 training, %2 checking and %3 test rows. Rows with the same "
                        "question stay in one "
                        "part, so that no twin of a test row is learned.")
                         .arg(part(0), part(1), part(2)));
}

} // namespace fettle::ui
