// The page of the settings about what may leave or reach this computer.
#include "hub/hub_access.h"
#include "ui/settings/settings_place.h"
#include "ui/text/words.h"
#include "ui/widgets/spec_form.h"

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

} // namespace fettle::ui
