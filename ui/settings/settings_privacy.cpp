// The page of the settings about what may leave or reach this computer.
#include "hub/hub_access.h"
#include "hub/keychain.h"
#include "ui/settings/settings_place.h"
#include "ui/text/words.h"
#include "ui/widgets/spec_form.h"

#include <QLineEdit>

namespace fettle::ui {

QWidget* SettingsPlace::createPrivacy()
{
    auto* page = new QWidget;
    auto* box = new QVBoxLayout(page);
    box->setContentsMargins(16, 0, 8, 8);
    box->setSpacing(Theme::instance().px(12));
    box->addWidget(new Text(tr("Privacy"), TextRole::Section));
    auto* line = new Text(tr("Your texts, models and runs stay on this computer. The network is "
                             "used for one thing only: to fetch a model that you name."),
                          TextRole::Body, Ink::Second);
    line->setWordWrap(true);
    box->addWidget(line);
    std::vector<const ParamSpec*> specs;
    for (const ParamSpec& spec : hub::settings())
        specs.push_back(&spec);
    auto* card = new Card;
    card->setMaximumWidth(Theme::instance().px(760));
    auto* form = new SpecForm(specs, "settings_", {{"network", "settingsNetworkCheck"}}, 1, true);
    form->load(hub::settingsOf(*m_session.workspace()));
    card->box()->addWidget(form);
    box->addWidget(card);
    box->addWidget(createToken());
    box->addStretch(1);
    connect(form, &SpecForm::edited, this, [this, form](const QString& key) {
        const Json value = form->editor(ss(key))->value();
        const std::string text =
            value.is_boolean() ? (value.get<bool>() ? "on" : "off") : value.get<std::string>();
        auto& workspace = *m_session.workspace();
        if (auto done = hub::setSetting(workspace, ss(key), text); !done) {
            messages()->show(MessageBar::Kind::Error, sentence(done.error()));
            return;
        }
        messages()->clear();
        form->load(hub::settingsOf(workspace));
        Q_EMIT m_session.networkChanged(m_session.networkOn());
    });
    return page;
}

/// The access token of the hub, which lies in the keychain alone.
QWidget* SettingsPlace::createToken()
{
    auto* card = new Card;
    card->setMaximumWidth(Theme::instance().px(760));
    card->addTitle(tr("Access token"));
    auto* words = new Text(tr("For models that the hub shows to known people alone. It is kept in "
                              "this computer's keychain and "
                              "sent to the hub alone."),
                           TextRole::Body, Ink::Second);
    words->setWordWrap(true);
    card->box()->addWidget(words);
    auto* token = new QLineEdit;
    token->setObjectName("settingsTokenEdit");
    token->setAccessibleName(tr("Access token"));
    token->setEchoMode(QLineEdit::Password);
    token->setPlaceholderText(tr("Paste it here"));
    auto* keep = plainButton(tr("Keep"), "settingsTokenKeepButton");
    auto* forget = plainButton(tr("Forget"), "settingsTokenForgetButton");
    keep->setEnabled(false);
    auto* row = new QHBoxLayout;
    row->addWidget(token, 1);
    row->addWidget(keep);
    row->addWidget(forget);
    card->box()->addLayout(row);
    connect(token, &QLineEdit::textChanged, keep,
            [keep](const QString& text) { keep->setEnabled(!text.trimmed().isEmpty()); });
    connect(token, &QLineEdit::returnPressed, keep, &QPushButton::click);
    // The keychain may ask the person first, so it is called beside the window's thread.
    const auto change = [this, token](const QString& good, auto&& call) {
        m_session.later(
            this, [w = m_session.workspace(), call] { return call(hub::addressFrom(*w)); },
            [this, token, good](Result<void>&& done) {
                if (!done) {
                    messages()->show(MessageBar::Kind::Error, sentence(done.error()));
                    return;
                }
                token->clear();
                messages()->show(MessageBar::Kind::Good, good);
            });
    };
    connect(keep, &QPushButton::clicked, this, [change, token] {
        change(tr("The keychain holds the token."),
               [text = ss(token->text().trimmed())](const std::string& hub) {
                   return hub::keepToken(hub, text);
               });
    });
    connect(forget, &QPushButton::clicked, this, [change] {
        change(tr("The keychain holds no token any more."),
               [](const std::string& hub) { return hub::forgetToken(hub); });
    });
    return card;
}

} // namespace fettle::ui
