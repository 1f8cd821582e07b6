#include "ui/text/english_plurals.h"

#include <QCoreApplication>

namespace fettle::ui {

QString EnglishPlurals::translate(const char*, const char* source, const char*, int n) const
{
    if (n < 0 || !source)
        return {};
    QString text = QString::fromUtf8(source);
    return text.contains("(s)") ? text.replace("(s)", n == 1 ? "" : "s") : QString();
}

void EnglishPlurals::install()
{
    static bool done = false;
    if (!done)
        QCoreApplication::installTranslator(new EnglishPlurals(QCoreApplication::instance()));
    done = true;
}

} // namespace fettle::ui
