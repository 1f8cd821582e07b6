// What changes a dataset. Each function is one transaction and, but for versions, one entry of the
// undo stack.

#include "store/dataset_store.h"

#include <fmt/format.h>
#include <map>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

std::string rowsText(std::size_t count)
{
    return fmt::format("{} {}", count, count == 1 ? "row" : "rows");
}

} // namespace

Result<data::ImportReport> DatasetStore::import(const std::vector<fs::path>& files,
                                                const data::ImportOptions& options,
                                                const data::SplitPlan& plan,
                                                const data::ImportProgress& progress,
                                                std::stop_token stop)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    if (m_write->failed())
        return transaction.commit().error();
    auto report = importInto(*m_write, files, options, plan, progress, stop);
    if (!report)
        return report;
    if (auto done = transaction.commit(); !done)
        return done.error();
    return report;
}

Result<std::int64_t> DatasetStore::add(const data::Example& example, data::Split split)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    const std::int64_t action = beginAction(*m_write, "add 1 row");
    RowWriter writer(*m_write);
    const std::int64_t content = writer.addContent(example);
    const std::int64_t id =
        writer.addRow(content, hasEmptyPart(example), static_cast<int>(split), RowState::Absent);
    writer.index(id, example);
    const RowMoment absent{content, static_cast<int>(split), static_cast<int>(RowState::Absent)};
    RowMoment present = absent;
    present.state = static_cast<int>(RowState::InUse);
    applyChanges(*m_write, action, {{id, absent, present}});
    if (auto done = transaction.commit(); !done)
        return done.error();
    return id;
}

Result<void> DatasetStore::update(std::int64_t id, const data::Example& example)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    const auto before = momentOf(*m_write, id);
    if (!m_write->failed() && (!before || before->state == static_cast<int>(RowState::Absent)))
        return noSuchRow(id);
    if (before && toJson(exampleOf(*m_write, before->content)) == toJson(example))
        return transaction.commit();
    const std::int64_t action = beginAction(*m_write, "edit 1 row");
    RowMoment after = before.value_or(RowMoment{});
    after.content = RowWriter(*m_write).addContent(example);
    applyChanges(*m_write, action, {{id, before.value_or(RowMoment{}), after}});
    return transaction.commit();
}

template<class Change>
Result<void> DatasetStore::changeRows(const std::vector<std::int64_t>& ids, const std::string& verb,
                                      const std::string& suffix, Change change)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    std::map<std::int64_t, RowChange> changes; // by row: an id may be named twice
    for (const std::int64_t id : ids) {
        const auto before = momentOf(*m_write, id);
        if (m_write->failed())
            break;
        if (!before || before->state == static_cast<int>(RowState::Absent))
            return noSuchRow(id);
        RowMoment after = *before;
        change(id, after);
        if (after != *before)
            changes[id] = {id, *before, after};
    }
    if (changes.empty())
        return transaction.commit();
    std::vector<RowChange> list;
    for (const auto& [id, each] : changes)
        list.push_back(each);
    const std::int64_t action =
        beginAction(*m_write, fmt::format("{} {}{}", verb, rowsText(list.size()), suffix));
    applyChanges(*m_write, action, list);
    return transaction.commit();
}

Result<void> DatasetStore::drop(const std::vector<std::int64_t>& ids)
{
    return changeRows(ids, "drop", "", [](std::int64_t, RowMoment& row) {
        row.state = static_cast<int>(RowState::LeftOut);
    });
}

Result<void> DatasetStore::restore(const std::vector<std::int64_t>& ids)
{
    return changeRows(ids, "restore", "", [](std::int64_t, RowMoment& row) {
        row.state = static_cast<int>(RowState::InUse);
    });
}

Result<void> DatasetStore::setSplit(const std::vector<std::int64_t>& ids, data::Split split)
{
    return changeRows(
        ids, "move", " to " + data::toString(split),
        [split](std::int64_t, RowMoment& row) { row.split = static_cast<int>(split); });
}

Result<void> DatasetStore::splitAgain(const data::SplitPlan& plan)
{
    std::vector<std::int64_t> ids;
    std::vector<data::SplitKey> keys;
    {
        const std::lock_guard lock(m_readMutex);
        Statement statement(*m_read,
                            "SELECT r.id, c.question, c.family, c.label FROM rows r "
                            "JOIN contents c ON c.id = r.content WHERE r.state = 0 ORDER BY r.id");
        while (statement.step()) {
            ids.push_back(statement.integer(0));
            keys.push_back({hexOfBytes(statement.text(1)), statement.text(2), statement.text(3)});
        }
        if (auto status = m_read->takeError(); !status)
            return status;
    }
    const auto splits = data::assignSplits(keys, plan);
    std::map<std::int64_t, int> wanted;
    for (std::size_t i = 0; i < ids.size(); ++i)
        wanted[ids[i]] = static_cast<int>(splits[i]);
    return changeRows(ids, "split again, moving", "",
                      [&](std::int64_t id, RowMoment& row) { row.split = wanted[id]; });
}

Result<void> DatasetStore::step(bool undo)
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    if (auto moved = stepJournal(*m_write, undo); !moved)
        return moved;
    return transaction.commit();
}

Result<DatasetVersion> DatasetStore::snapshot()
{
    const std::lock_guard lock(m_writeMutex);
    Transaction transaction(*m_write);
    auto version = makeVersion(*m_write);
    if (!version)
        return version;
    if (auto done = transaction.commit(); !done)
        return done.error();
    return version;
}

} // namespace fettle::store
