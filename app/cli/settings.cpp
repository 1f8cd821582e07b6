#include "cli/output.h"
#include "cli/session.h"
#include "hub/hub_access.h"
#include "hub/keychain.h"

#include <iostream>
#include <termios.h>
#include <unistd.h>

namespace fettle::cli {

namespace {

std::string shown(const Json& value)
{
    if (value.is_boolean())
        return value.get<bool>() ? "on" : "off";
    const auto text = value.is_string() ? value.get<std::string>() : value.dump();
    return text.empty() ? "(default)" : text;
}

Outcome listSettings(Session& session)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto values = hub::settingsOf(**workspace);
    if (session.json) {
        OrderedJson list = OrderedJson::object();
        for (const auto& spec : values.specs())
            list[spec.key] = values.value(spec.key);
        printJson({{"settings", list}});
        return kDone;
    }
    Table table({{"setting"}, {"value"}, {"what it is"}});
    for (const auto& spec : values.specs())
        table.add({spec.key, shown(values.value(spec.key)), spec.help + " " + spec.why});
    print(table.text());
    return kDone;
}

Outcome getOne(Session& session, const std::string& key)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto values = hub::settingsOf(**workspace);
    if (!values.spec(key))
        return Error{ErrorCode::NotFound, fmt::format("there is no setting \"{}\"", key),
                     "settings", "See: fettle-cli settings list"};
    if (session.json)
        printJson({{"settings", {{key, values.value(key)}}}});
    else
        printLine(shown(values.value(key)));
    return kDone;
}

Outcome setOne(Session& session, const std::string& key, const std::string& value)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    if (auto set = hub::setSetting(**workspace, key, value); !set)
        return set.error();
    const auto now = hub::settingsOf(**workspace).value(key);
    if (session.json)
        printJson({{"settings", {{key, now}}}});
    else
        printLine(fmt::format("{} is {} now.", key, shown(now)));
    return kDone;
}

/// A line that the person types unseen, or that another program hands over.
std::string secretLine(const std::string& question)
{
    termios before{};
    const bool terminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        std::cerr << question << std::flush;
        auto silent = before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    std::string line;
    std::getline(std::cin, line);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        std::cerr << '\n';
    }
    return line;
}

Outcome changeToken(Session& session, const std::string& what)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto address = hub::addressFrom(**workspace);
    const bool keep = what == "keep";
    const auto done =
        keep ? hub::keepToken(address, secretLine("Access token: ")) : hub::forgetToken(address);
    if (!done)
        return done.error();
    if (session.json)
        printJson({{"token", {{"hub", address}, {"kept", keep}}}});
    else
        printLine(fmt::format("The keychain {} a token for {}.", keep ? "holds" : "holds no more",
                              address));
    return kDone;
}

} // namespace

void addSettings(CLI::App& app, Session& session)
{
    auto* group =
        app.add_subcommand("settings", "Settings of the workspace, such as the network switch");
    group->require_subcommand(1);
    addCommand(*group, session, "list", "Lists the settings",
               [&session] { return listSettings(session); });
    const auto key = std::make_shared<std::string>(), value = std::make_shared<std::string>();
    addCommand(*group, session, "get", "Shows one setting",
               [&session, key] { return getOne(session, *key); })
        ->add_option("key", *key, "Setting")
        ->required();
    auto* set = addCommand(*group, session, "set", "Changes a setting: settings set network on",
                           [&session, key, value] { return setOne(session, *key, *value); });
    set->add_option("key", *key, "Setting")->required();
    set->add_option("value", *value, "Value; \"\" gives the default back")->required();
    addCommand(*group, session, "token",
               "Keeps an access token of the hub, read from the standard input, in the keychain; "
               "or forgets it",
               [&session, value] { return changeToken(session, *value); })
        ->add_option("what", *value, "keep or forget")
        ->required()
        ->check(CLI::IsMember({"keep", "forget"}));
}

} // namespace fettle::cli
