#include "base/atomic_file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "store/dataset_parts.h"

#include <fmt/format.h>
#include <fstream>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

/// A row whose split is still to be assigned.
struct PendingRow
{
    std::int64_t row = 0;
    data::SplitKey key;
};

constexpr int kNoSplitYet = -1;

Error cancelled()
{
    return {ErrorCode::Cancelled, "the import was stopped", "", "Nothing was changed"};
}

Result<std::string> hashOf(const fs::path& file, std::stop_token stop)
{
    std::ifstream in(file, std::ios::binary);
    std::string buffer(1u << 20, '\0');
    Sha256 hash;
    while (in) {
        if (stop.stop_requested())
            return cancelled();
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        hash.update(buffer.data(), static_cast<std::size_t>(in.gcount()));
    }
    return hash.finish();
}

/// Gives rows the split of a row that has one already and shares the question (or the group), until
/// nothing changes; gives back the rows that are free.
std::vector<PendingRow> followTwins(Database& database, std::vector<PendingRow> pending,
                                    bool byGroup)
{
    Statement any(database, "SELECT 1 FROM rows WHERE split >= 0 AND state <> 2 LIMIT 1");
    if (!any.step())
        return pending;
    Statement byQuestion(database,
                         "SELECT r.split FROM contents c CROSS JOIN rows r ON r.content = c.id "
                         "WHERE c.question = ? AND +r.split >= 0 AND +r.state = 0 LIMIT 1");
    Statement byFamily(database,
                       "SELECT r.split FROM contents c CROSS JOIN rows r ON r.content = c.id "
                       "WHERE c.family = ? AND c.family <> '' AND +r.split >= 0 AND +r.state = 0 "
                       "LIMIT 1");
    Statement update(database, "UPDATE rows SET split = ?2 WHERE id = ?1");
    std::size_t before = 0;
    do {
        before = pending.size();
        std::erase_if(pending, [&](const PendingRow& row) {
            const std::string question = bytesOfHex(row.key.question);
            byQuestion.bind(std::span<const std::uint8_t>(
                reinterpret_cast<const std::uint8_t*>(question.data()), question.size()));
            std::optional<std::int64_t> split;
            if (byQuestion.step())
                split = byQuestion.integer(0);
            else if (byGroup && !row.key.group.empty() && byFamily.bind(row.key.group).step())
                split = byFamily.integer(0);
            if (split)
                update.bind(row.row, *split).run();
            return split.has_value();
        });
    } while (pending.size() < before && !database.failed());
    return pending;
}

void assignPending(Database& database, std::vector<PendingRow> pending, const data::SplitPlan& plan)
{
    pending = followTwins(database, std::move(pending), plan.byGroup);
    std::vector<data::SplitKey> keys;
    keys.reserve(pending.size());
    for (auto& row : pending)
        keys.push_back(std::move(row.key));
    const auto splits = data::assignSplits(keys, plan);
    Statement update(database, "UPDATE rows SET split = ?2 WHERE id = ?1");
    for (std::size_t i = 0; i < pending.size(); ++i)
        update.bind(pending[i].row, static_cast<int>(splits[i])).run();
}

Json infoOf(const data::ImportReport& report, const data::ImportOptions& options,
            const data::SplitPlan& plan)
{
    return {{"form", report.form},
            {"roles", report.roles},
            {"encoding", report.encoding},
            {"instruction", options.instruction},
            {"rowsRead", report.rowsRead},
            {"rowsKept", report.rowsKept},
            {"badRows", report.badRowCount},
            {"repaired", report.repaired},
            {"repairs", report.repairs},
            {"split",
             {{"shares", plan.shares},
              {"seed", plan.seed},
              {"byGroup", plan.byGroup},
              {"proportional", plan.proportional}}}};
}

void keepReport(Database& database, std::int64_t action, const data::ImportReport& report,
                const Json& info)
{
    Statement(database, "INSERT INTO imports(action, info, bad) VALUES(?, ?, ?)")
        .bind(action, info.dump(-1, ' ', false, Json::error_handler_t::replace), report.badRowCount)
        .run();
    Statement bad(database, "INSERT INTO bad_rows(action, file, row, reason) VALUES(?, ?, ?, ?)");
    for (const auto& row : report.badRows)
        bad.bind(action, row.file, row.row, row.reason).run();
}

} // namespace

Result<Json> describeFiles(const std::vector<fs::path>& files, std::stop_token stop)
{
    Json list = Json::array();
    for (const auto& file : files) {
        std::error_code ec;
        if (!fs::is_regular_file(file, ec))
            continue; // the import itself says what is wrong with it
        auto hash = hashOf(file, stop);
        if (!hash)
            return hash.error();
        list.push_back({{"name", file.filename().string()},
                        {"bytes", fs::file_size(file, ec)},
                        {"sha256", *hash}});
    }
    return list;
}

Result<data::ImportReport> importInto(Database& database, const std::vector<fs::path>& files,
                                      const data::ImportOptions& options,
                                      const data::SplitPlan& plan,
                                      const data::ImportProgress& progress, std::stop_token stop)
{
    auto described = describeFiles(files, stop);
    if (!described)
        return described.error();
    const std::int64_t action = beginAction(database, "import");
    RowWriter writer(database);
    std::vector<PendingRow> pending;
    std::int64_t first = 0, last = 0;
    const auto sink = [&](data::ImportedRow&& row) -> Result<void> {
        const std::int64_t content = writer.addContent(row.example);
        const int split = row.split ? static_cast<int>(*row.split) : kNoSplitYet;
        last = writer.addRow(content, hasEmptyPart(row.example), split, RowState::InUse);
        first = first == 0 ? last : first;
        writer.index(last, row.example);
        if (!row.split)
            pending.push_back({last, splitKeyOf(row.example)});
        return database.takeError();
    };
    auto report = data::importFiles(files, options, sink, progress, stop);
    if (!report)
        return report;
    assignPending(database, std::move(pending), plan);
    Json info = infoOf(*report, options, plan);
    info["files"] = *described;
    keepReport(database, action, *report, info);
    Statement(database, "UPDATE actions SET name = ?2, first_row = ?3, last_row = ?4 WHERE id = ?1")
        .bind(action,
              fmt::format("import {} {}", report->rowsKept, report->rowsKept == 1 ? "row" : "rows"),
              first, last)
        .run();
    refreshHealth(database);
    return report;
}

} // namespace fettle::store
