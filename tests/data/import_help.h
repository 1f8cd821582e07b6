#pragma once

#include "data/import.h"

#include <QByteArray>
#include <QFile>
#include <QTemporaryDir>
#include <vector>

/// Writes a file into the folder and gives its path.
inline std::filesystem::path written(const QTemporaryDir& folder, const QString& name,
                                     const QByteArray& bytes)
{
    QFile file(folder.filePath(name));
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size())
        qFatal("cannot write the test file");
    return file.fileName().toStdString();
}

struct Imported
{
    std::vector<fettle::data::ImportedRow> rows;
    fettle::Result<fettle::data::ImportReport> report;
};

inline Imported imported(const std::vector<std::filesystem::path>& files,
                         const fettle::data::ImportOptions& options = {})
{
    std::vector<fettle::data::ImportedRow> rows;
    auto report = fettle::data::importFiles(files, options, [&](fettle::data::ImportedRow&& row) {
        rows.push_back(std::move(row));
        return fettle::Result<void>();
    });
    return {std::move(rows), std::move(report)};
}
