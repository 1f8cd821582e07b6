#include "base/clock.h"
#include "base/sha256.h"
#include "store/dataset_parts.h"

namespace fettle::store {

namespace {

Json countsJson(const DatasetCounts& c)
{
    return {{"rows", c.rows},       {"train", c.train},     {"validation", c.validation},
            {"test", c.test},       {"leftOut", c.leftOut}, {"badRows", c.badRows},
            {"doubled", c.doubled}, {"leaks", c.leaks},     {"empty", c.empty}};
}

DatasetCounts countsFrom(const Json& json)
{
    const auto get = [&](const char* key) { return json.value(key, std::int64_t{0}); };
    return {get("rows"),    get("train"),   get("validation"), get("test"), get("leftOut"),
            get("badRows"), get("doubled"), get("leaks"),      get("empty")};
}

DatasetVersion versionFrom(const Statement& statement)
{
    DatasetVersion version;
    version.number = static_cast<int>(statement.integer(0));
    version.digest = statement.text(1);
    version.time = statement.integer(2);
    if (const auto json = parseJson(statement.text(3), "version"))
        version.counts = countsFrom(*json);
    return version;
}

/// Over the digests of the examples and the splits, in row order.
std::string digestOfRows(Database& database)
{
    Sha256 hash;
    Statement statement(database,
                        "SELECT c.digest, r.split FROM rows r JOIN contents c ON c.id = r.content "
                        "WHERE r.state = 0 ORDER BY r.id");
    while (statement.step()) {
        hash.update(statement.text(0));
        const char split = static_cast<char>('0' + statement.integer(1));
        hash.update(&split, 1);
    }
    return hash.finish();
}

} // namespace

std::vector<DatasetVersion> readVersions(Database& database)
{
    std::vector<DatasetVersion> versions;
    Statement statement(database,
                        "SELECT number, digest, time, counts FROM versions ORDER BY number");
    while (statement.step())
        versions.push_back(versionFrom(statement));
    return versions;
}

Result<DatasetVersion> makeVersion(Database& database)
{
    const std::string digest = digestOfRows(database);
    Statement known(database, "SELECT number, digest, time, counts FROM versions WHERE digest = ? "
                              "ORDER BY number DESC LIMIT 1");
    if (known.bind(digest).step())
        return versionFrom(known);
    DatasetVersion version{0, digest, nowMilliseconds(), readCounts(database)};
    if (version.counts.rows == 0 && !database.failed())
        return Error{ErrorCode::InvalidInput, "the dataset has no rows in use", "",
                     "Add or restore rows first"};
    Statement(database, "INSERT INTO versions(digest, time, counts) VALUES(?, ?, ?)")
        .bind(digest, version.time, countsJson(version.counts).dump())
        .run();
    version.number = static_cast<int>(database.lastId());
    Statement(database, "INSERT INTO version_rows(version, row, content, split) "
                        "SELECT ?, id, content, split FROM rows WHERE state = 0")
        .bind(version.number)
        .run();
    return version;
}

} // namespace fettle::store
