#pragma once

#include "base/error.h"
#include "data/example.h"

#include <QString>
#include <cstdint>
#include <string>
#include <vector>

namespace fettle::ui {

inline QString qs(const std::string& text) { return QString::fromStdString(text); }
inline std::string ss(const QString& text) { return text.toStdString(); }

/// Numbers, sizes and times as people read them, by the language's own rules.
QString number(double value, int significant = 3);
QString count(std::int64_t value);
QString bytesText(std::uint64_t bytes);
/// "4 min", "1 h 10 min"; under a minute in seconds.
QString durationText(double seconds);
/// "today 14:02", "yesterday", "24 November".
QString whenText(std::int64_t millisecondsSince1970);
QString parametersText(std::int64_t parameters); ///< "135 million numbers"

/// An error as a sentence for the message bar: where, what, what to do.
QString sentence(const Error& error);

/// What a person asked in a row: of a conversation the last question alone, without the standing
/// instruction that every row shares.
std::string askedText(const data::Example& example);

/// One line of the table of words: what is on screen, the field's term, the tooltip.
struct Word
{
    QString word, term, line;
};
const std::vector<Word>& glossary();
/// Tooltip for a word on screen: its line, then the field's term.
QString wordTip(const QString& word);

} // namespace fettle::ui
