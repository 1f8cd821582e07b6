#include "ui/text/word_diff.h"

#include "ui/theme/theme.h"

#include <QStringList>

namespace fettle::ui {

namespace {

constexpr qsizetype kMostWords = 600;

/// Words with the white space behind them, so that joining gives the text back.
QStringList words(const QString& text)
{
    QStringList out;
    QString word;
    bool inSpace = false;
    for (const QChar c : text) {
        if (inSpace && !c.isSpace()) {
            out << word;
            word.clear();
        }
        inSpace = c.isSpace();
        word += c;
    }
    if (!word.isEmpty())
        out << word;
    return out;
}

void add(std::vector<DiffPart>& parts, const QString& text, Change change)
{
    if (!parts.empty() && parts.back().change == change)
        parts.back().text += text;
    else
        parts.push_back({text, change});
}

} // namespace

std::vector<DiffPart> wordDiff(const QString& before, const QString& after)
{
    const QStringList a = words(before), b = words(after);
    std::vector<DiffPart> parts;
    if (a.size() > kMostWords || b.size() > kMostWords) {
        parts.push_back({after, Change::Same});
        return parts;
    }
    const auto n = static_cast<std::size_t>(a.size()), m = static_cast<std::size_t>(b.size());
    std::vector<int> common((n + 1) * (m + 1), 0); // [i, j]: longest of a[i..], b[j..]
    const auto at = [m](std::size_t i, std::size_t j) { return i * (m + 1) + j; };
    const auto same = [&](std::size_t i, std::size_t j) {
        return a[static_cast<qsizetype>(i)].trimmed() == b[static_cast<qsizetype>(j)].trimmed();
    };
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t j = m; j-- > 0;)
            common[at(i, j)] = same(i, j) ? common[at(i + 1, j + 1)] + 1
                                          : qMax(common[at(i + 1, j)], common[at(i, j + 1)]);
    }
    std::size_t i = 0, j = 0;
    while (i < n || j < m) {
        if (i < n && j < m && same(i, j))
            add(parts, b[static_cast<qsizetype>(j)], Change::Same), ++i, ++j;
        else if (i < n && (j == m || common[at(i + 1, j)] >= common[at(i, j + 1)]))
            add(parts, a[static_cast<qsizetype>(i)], Change::Removed), ++i;
        else
            add(parts, b[static_cast<qsizetype>(j)], Change::Added), ++j;
    }
    return parts;
}

QString diffHtml(const std::vector<DiffPart>& parts, bool showRemoved)
{
    const Colours& c = colours();
    QString html;
    for (const DiffPart& part : parts) {
        QString text = part.text.toHtmlEscaped().replace('\n', "<br>");
        if (part.change == Change::Added)
            html += QStringLiteral(
                        "<span style='background-color:%1;text-decoration:underline'>%2</span>")
                        .arg(c.goodTint.name(), text);
        else if (part.change == Change::Removed && showRemoved)
            html += QStringLiteral(
                        "<span style='background-color:%1;text-decoration:line-through'>%2</span>")
                        .arg(c.errorTint.name(), text);
        else if (part.change == Change::Same)
            html += text;
    }
    return html;
}

} // namespace fettle::ui
