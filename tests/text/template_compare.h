#pragma once

#include "base/text.h"
#include "text/chat_template.h"
#include "text_help.h"

#include <QStringList>
#include <ctime>

namespace fettle::tests {

using text::ChatTemplate;
using text::Messages;
using text::RenderOptions;
using text::Segment;

/// What strftime_now() tells in the goldens.
inline std::time_t goldenTime()
{
    std::tm local{};
    local.tm_year = 126, local.tm_mon = 2, local.tm_mday = 7, local.tm_hour = 15, local.tm_min = 4,
    local.tm_sec = 5, local.tm_isdst = -1;
    return std::mktime(&local);
}

/// Our sentence of a refusal leaves out what comes from messages ("...") and the full stop.
inline bool sameRefusal(const std::string& ours, std::string theirs)
{
    while (!theirs.empty() && (theirs.back() == '.' || theirs.back() == '\n'))
        theirs.pop_back();
    const QStringList parts = QString::fromStdString(ours).split("...");
    const QString wanted = QString::fromStdString(theirs);
    qsizetype at = 0;
    for (const QString& part : parts) {
        const auto found = wanted.indexOf(part, at);
        if (found < 0 || (at == 0 && part == parts.front() && found != 0))
            return false;
        at = found + part.size();
    }
    return parts.back().isEmpty() || wanted.endsWith(parts.back());
}

struct Comparison
{
    int renderings = 0, refused = 0, differences = 0;
    QString report;
};

/// Two texts around the place where they part.
inline QString bothTexts(const std::string& wanted, const std::string& got)
{
    std::size_t at = 0;
    while (at < wanted.size() && at < got.size() && wanted[at] == got[at])
        ++at;
    const auto part = [&](const std::string& text) {
        const std::size_t begin = std::min(text.size(), at < 60 ? 0 : at - 60);
        return QString::fromStdString(Json(toValidUtf8(text.substr(begin, 200))).dump());
    };
    return QString("    wanted: %1\n    got:    %2\n").arg(part(wanted), part(got));
}

/// A filter that only our engine and llama.cpp know: what the reference refuses is rendered.
inline bool usesOurFilter(const OrderedJson& wanted)
{
    return wanted.is_object() && wanted.contains("error") &&
           wanted["error"].get<std::string>().find("No filter named 'from_json'") !=
               std::string::npos;
}

/// Every conversation of a golden file rendered by one of its templates.
inline Comparison compare(const OrderedJson& golden, const OrderedJson& entry)
{
    Comparison out;
    const auto chatTemplate = ChatTemplate::parse(entry["source"], golden["tokens"]);
    for (std::size_t i = 0; i < entry["results"].size(); ++i) {
        const OrderedJson& conversation = golden["conversations"][i];
        for (int prompt = 0; prompt < 2; ++prompt) {
            const OrderedJson& wanted = entry["results"][i][prompt];
            RenderOptions options;
            options.addGenerationPrompt = prompt == 1;
            options.extra = conversation["extra"];
            options.now = goldenTime();
            const auto got =
                chatTemplate
                    ? (*chatTemplate)->render(conversation["messages"].get<Messages>(), options)
                    : Result<std::vector<Segment>>(chatTemplate.error());
            bool same = false;
            if (wanted.is_string())
                same = got && joined(*got) == wanted.get<std::string>();
            else if (wanted.contains("raise"))
                same = !got && sameRefusal(got.error().what, wanted["raise"]);
            else
                same = !got || usesOurFilter(wanted);
            ++out.renderings;
            out.refused += same && !got;
            if (same)
                continue;
            if (++out.differences <= 3)
                out.report += QString("  %1, header %2:\n%3")
                                  .arg(QString::fromStdString(conversation["name"]))
                                  .arg(prompt)
                                  .arg(bothTexts(wanted.is_string() ? wanted.get<std::string>()
                                                                    : wanted.dump(),
                                                 got ? joined(*got) : got.error().sentence()));
        }
    }
    return out;
}

} // namespace fettle::tests
