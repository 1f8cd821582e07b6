#pragma once

#include "store/workspace.h"

#include <QFile>
#include <QTemporaryDir>

inline std::filesystem::path written(const std::filesystem::path& path, const QByteArray& bytes)
{
    QFile file(QString::fromStdString(path.string()));
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size())
        qFatal("cannot write the test file");
    return path;
}

inline std::filesystem::path operator/(const QTemporaryDir& folder, const char* name)
{
    return std::filesystem::path(folder.path().toStdString()) / name;
}

inline fettle::data::Example question(const std::string& asked, const std::string& answer)
{
    fettle::data::Example example;
    example.messages = {{{"role", "user"}, {"content", asked}},
                        {{"role", "assistant"}, {"content", answer}}};
    return example;
}

/// JSON Lines with questions "q<i>" and answers "a<i>".
inline QByteArray questionLines(int count)
{
    QByteArray text;
    for (int i = 0; i < count; ++i)
        text += "{\"question\":\"q" + QByteArray::number(i) + "\",\"answer\":\"a" +
                QByteArray::number(i) + "\"}\n";
    return text;
}

/// All that a person can see of the rows, as one text.
inline std::string seen(const fettle::store::Dataset& dataset)
{
    std::string text;
    for (const bool leftOut : {false, true}) {
        fettle::store::RowFilter filter;
        filter.leftOut = leftOut;
        for (const auto& row : dataset.rows(filter, 0, 1000000))
            text += std::to_string(row.id) + toJson(row.example).dump() + toString(row.split) +
                    (leftOut ? "-" : "+") + "\n";
    }
    const auto c = dataset.counts();
    for (const auto count :
         {c.rows, c.train, c.validation, c.test, c.leftOut, c.badRows, c.doubled, c.leaks, c.empty})
        text += std::to_string(count) + " ";
    return text;
}

inline fettle::jobs::StepDone stepEvent(std::int64_t step, double loss)
{
    return {step,       100,        0.01 * static_cast<double>(step), loss,       1e-4, 1.5, 500,
            step * 512, step * 200, 0.5 * static_cast<double>(step),  1000 + step};
}

inline fettle::jobs::EvalDone evalEvent(std::int64_t step, double loss)
{
    return {step,       loss, loss - 0.1, loss + 0.1,
            40,         1000, false,      0.5 * static_cast<double>(step),
            1000 + step};
}
