#pragma once

#include "base/json.h"
#include "text/tokenizer_json.h"

#include <QByteArray>
#include <QString>
#include <filesystem>

namespace fettle::tests {

inline Json textGolden(const std::string& name)
{
    return readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/" + name).value();
}

/// The same with the keys in their order.
inline OrderedJson orderedJson(const std::filesystem::path& path)
{
    return OrderedJson::parse(readFile(path).value());
}

inline std::filesystem::path goldenPath(const std::string& name)
{
    return std::string(FETTLE_SOURCE_DIR) + "/tests/golden/" + name;
}

inline std::filesystem::path smallTokenizer()
{
    return std::string(FETTLE_SOURCE_DIR) + "/tests/golden/text_small_tokenizer";
}

/// The text of a golden case: as text, or as bytes in hex where it is no valid UTF-8.
inline std::string caseText(const Json& entry)
{
    if (entry.contains("text"))
        return entry["text"];
    return QByteArray::fromHex(QByteArray::fromStdString(entry["hex"].get<std::string>()))
        .toStdString();
}

inline QString shown(const std::vector<text::TokenId>& ids)
{
    QString out;
    for (const auto id : ids)
        out += QString::number(id) + " ";
    return out;
}

} // namespace fettle::tests
