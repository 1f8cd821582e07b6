#pragma once

#include "base/text.h"
#include "text_help.h"

namespace fettle::tests {

inline QString differences(const text::Tokenizer& tokenizer, const Json& entry)
{
    using Ids = std::vector<text::TokenId>;
    const std::string text = caseText(entry);
    const Ids ids = entry["ids"];
    const Ids parsed = entry.value("parsed", ids), around = entry.value("around", parsed);
    QString out;
    const auto compare = [&](const char* what, const Ids& got, const Ids& wanted) {
        if (got != wanted)
            out += QString("%1: got %2, wanted %3\n").arg(what, shown(got), shown(wanted));
    };
    const auto compareText = [&](const char* what, const std::string& got,
                                 const std::string& wanted) {
        if (toValidUtf8(got) != wanted)
            out += QString("%1: got \"%2\", wanted \"%3\"\n")
                       .arg(what, QString::fromStdString(got), QString::fromStdString(wanted));
    };
    compare("plain", tokenizer.encode(text), ids);
    compare("plain again, from the cache", tokenizer.encode(text), ids);
    compare("special tokens parsed", tokenizer.encode(text, {.parseSpecialTokens = true}), parsed);
    compare("special tokens added",
            tokenizer.encode(text, {.addSpecialTokens = true, .parseSpecialTokens = true}), around);
    compareText("decoded", tokenizer.decode(ids, false), entry["decoded"]);
    if (entry.contains("skipped"))
        compareText("decoded without special tokens", tokenizer.decode(parsed, true),
                    entry["skipped"]);
    return out.isEmpty() ? out : QString::fromStdString(entry.dump()) + "\n" + out;
}

} // namespace fettle::tests
