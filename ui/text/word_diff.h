#pragma once

#include <QString>
#include <vector>

namespace fettle::ui {

enum class Change
{
    Same,
    Added,
    Removed
};

struct DiffPart
{
    QString text;
    Change change = Change::Same;
};

/// What to do with words to turn `before` into `after` (longest common subsequence of words).
/// Very long texts are given whole as unchanged.
std::vector<DiffPart> wordDiff(const QString& before, const QString& after);

/// The parts as HTML in the theme's colours: added underlined on the good tint, removed struck
/// through on the error tint.
QString diffHtml(const std::vector<DiffPart>& parts, bool showRemoved);

} // namespace fettle::ui
