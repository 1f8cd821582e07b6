#include "ui/text/words.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QLocale>
#include <cmath>

namespace fettle::ui {

namespace {

QString tr(const char* text) { return QCoreApplication::translate("Words", text); }

QString firstUpper(QString text)
{
    if (!text.isEmpty())
        text[0] = text[0].toUpper();
    return text;
}

} // namespace

QString number(double value, int significant)
{
    if (!std::isfinite(value))
        return tr("not a number");
    if (value == 0)
        return QStringLiteral("0");
    const double size = std::abs(value);
    if (size < 1e-4 || size >= 1e7)
        return QLocale().toString(value, 'g', significant);
    const int whole = static_cast<int>(std::floor(std::log10(size))) + 1;
    const QString text = QLocale().toString(value, 'f', qMax(0, significant - whole));
    if (size >= 0.1)
        return text;
    // Small settings such as 0.0002 read better without the noughts behind.
    qsizetype end = text.size();
    while (end > 1 && text[end - 1] == '0')
        --end;
    return text.left(end);
}

QString count(std::int64_t value) { return QLocale().toString(qlonglong{value}); }

QString bytesText(std::uint64_t bytes)
{
    return QLocale().formattedDataSize(static_cast<qint64>(bytes), bytes >= 1'000'000'000 ? 1 : 0,
                                       QLocale::DataSizeSIFormat);
}

QString durationText(double seconds)
{
    if (!std::isfinite(seconds) || seconds < 0)
        return tr("unknown");
    const auto whole = static_cast<qint64>(std::llround(seconds));
    if (whole < 1)
        return tr("under 1 s");
    if (whole < 60)
        return tr("%1 s").arg(whole);
    if (whole < 10 * 60 && whole % 60 != 0)
        return tr("%1 min %2 s").arg(whole / 60).arg(whole % 60);
    if (whole < 3600)
        return tr("%1 min").arg((whole + 30) / 60);
    return tr("%1 h %2 min").arg(whole / 3600).arg(whole % 3600 / 60);
}

QString whenText(std::int64_t milliseconds)
{
    if (milliseconds <= 0)
        return {};
    const QDateTime time = QDateTime::fromMSecsSinceEpoch(milliseconds);
    const QDate today = QDate::currentDate();
    const QString clock = QLocale().toString(time.time(), QStringLiteral("HH:mm"));
    if (time.date() == today)
        return tr("today %1").arg(clock);
    if (time.date() == today.addDays(-1))
        return tr("yesterday %1").arg(clock);
    return QLocale().toString(time.date(), time.date().year() == today.year()
                                               ? QStringLiteral("d MMMM")
                                               : QStringLiteral("d MMMM yyyy"));
}

QString parametersText(std::int64_t parameters)
{
    if (parameters >= 1'000'000'000)
        return tr("%1 billion numbers").arg(number(static_cast<double>(parameters) / 1e9));
    if (parameters >= 1'000'000)
        return tr("%1 million numbers").arg(number(static_cast<double>(parameters) / 1e6));
    return tr("%1 numbers").arg(count(parameters));
}

QString sentence(const Error& error)
{
    QString text = firstUpper(qs(error.what));
    if (!text.isEmpty() && !text.endsWith('.'))
        text += '.';
    if (!error.where.empty())
        text = qs(error.where) + QStringLiteral(": ") + text;
    if (!error.remedy.empty())
        text += ' ' + qs(error.remedy) + (error.remedy.back() == '.' ? "" : ".");
    return text;
}

std::string askedText(const data::Example& example)
{
    for (auto it = example.messages.rbegin(); it != example.messages.rend(); ++it) {
        if (it->value("role", std::string()) == "user")
            return it->value("content", std::string());
    }
    return data::questionOf(example);
}

QString wordTip(const QString& word)
{
    for (const Word& entry : glossary()) {
        if (entry.word.compare(word, Qt::CaseInsensitive) == 0)
            return firstUpper(entry.line) + '\n' + tr("Term: %1").arg(entry.term);
    }
    return {};
}

} // namespace fettle::ui
