#pragma once

#include <QTranslator>

namespace fettle::ui {

/// The words in the source are English; "(s)" in a text with a number stands for its plural. Other
/// languages bring their own catalogue, which is asked first.
class EnglishPlurals : public QTranslator
{
    Q_OBJECT
public:
    using QTranslator::QTranslator;
    QString translate(const char* context, const char* source, const char* disambiguation, int n) const override;
    bool isEmpty() const override { return false; }

    /// Puts it on the application, once.
    static void install();
};

} // namespace fettle::ui
