#pragma once

#include "recipes/front_door.h"

#include <QString>

namespace fettle::ui {

/// What a tile says of a form of export.
struct FormWords
{
    const char* id;
    const char* icon;
    QString title, line;
};
FormWords wordsOf(const recipes::ExportFormInfo& form);

/// How a type of number is called, and what it costs.
struct TypeWords
{
    QString name, loss;
};
TypeWords wordsOf(const QString& type);

} // namespace fettle::ui
