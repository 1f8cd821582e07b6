#include "store/run_files.h"

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/text.h"

#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <fstream>
#include <unistd.h>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

constexpr int kRunFormat = 1;
constexpr std::size_t kMaxEventBytes = 64u << 20;

OrderedJson number(const std::optional<double>& value)
{
    return value && std::isfinite(*value) ? OrderedJson(*value) : OrderedJson(nullptr);
}

std::optional<double> numberFrom(const OrderedJson& json, const char* key)
{
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number())
        return {};
    return found->get<double>();
}

RunRecord parseRecord(const OrderedJson& json)
{
    RunRecord record;
    record.id = json.at("id").get<std::string>();
    record.number = json.at("number").get<std::int64_t>();
    record.name = json.value("name", record.id);
    record.status = runStatusFrom(json.at("status").get<std::string>()).value();
    record.model = json.value("model", "");
    record.modelDigest = json.value("modelDigest", "");
    record.dataset = json.value("dataset", "");
    record.datasetDigest = json.value("datasetDigest", "");
    record.datasetVersion = json.value("datasetVersion", 0);
    record.settings = json.value("settings", OrderedJson::object());
    record.seed = json.value("seed", std::uint64_t{0});
    record.createdAt = json.value("createdAt", std::int64_t{0});
    record.endedAt = json.value("endedAt", std::int64_t{0});
    record.step = json.value("step", std::int64_t{0});
    record.totalSteps = json.value("totalSteps", std::int64_t{0});
    record.loss = numberFrom(json, "loss");
    record.bestEvalLoss = numberFrom(json, "bestEvalLoss");
    record.bestStep = json.value("bestStep", std::int64_t{0});
    record.message = json.value("message", "");
    record.colour = json.value("colour", 0);
    record.extra = Json(json.value("extra", OrderedJson::object()));
    return record;
}

std::string firstLineOf(const fs::path& file)
{
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

std::string bootId() { return firstLineOf("/proc/sys/kernel/random/boot_id"); }

/// Field 22 of /proc/PID/stat: start in clock ticks since boot. 0 when there is no such process.
/// The second field may hold blanks and brackets, so counting starts behind its last bracket.
std::int64_t startOfProcess(std::int64_t pid)
{
    const std::string line = firstLineOf(fmt::format("/proc/{}/stat", pid));
    const std::size_t bracket = line.rfind(')');
    if (bracket == std::string::npos || bracket + 2 > line.size())
        return 0;
    const auto fields = splitOn(std::string_view(line).substr(bracket + 2), ' ');
    constexpr std::size_t kStart = 19;
    std::int64_t ticks = 0;
    if (fields.size() > kStart)
        std::from_chars(fields[kStart].data(), fields[kStart].data() + fields[kStart].size(),
                        ticks);
    return fields.size() > kStart && fields[0] == "Z" ? 0 : ticks;
}

std::optional<std::int64_t> stepOfFolder(const std::string& name)
{
    constexpr std::string_view kPrefix = "step-";
    if (!name.starts_with(kPrefix))
        return {};
    std::int64_t step = 0;
    const char* end = name.data() + name.size();
    const auto [at, status] = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (status != std::errc() || at != end)
        return {};
    return step;
}

/// MANIFEST.json: {"files": [{"name", "size", "sha256"}, ...]}; "bytes" is taken for "size" too.
bool hasSoundManifest(const fs::path& folder)
{
    const auto manifest = readJsonFile(folder / "MANIFEST.json", 16u << 20);
    if (!manifest || !manifest->is_object() || !manifest->contains("files"))
        return false;
    const Json& files = (*manifest)["files"];
    if (!files.is_array() || files.empty())
        return false;
    for (const auto& file : files) {
        if (!file.is_object() || !file.contains("name") || !file["name"].is_string())
            return false;
        const auto wanted = file.find(file.contains("size") ? "size" : "bytes");
        std::error_code ec;
        const auto size = fs::file_size(folder / file["name"].get<std::string>(), ec);
        if (ec || wanted == file.end() || !wanted->is_number_unsigned() ||
            wanted->get<std::uint64_t>() != size)
            return false;
    }
    return true;
}

} // namespace

OrderedJson toJson(const RunRecord& r)
{
    return {{"format", kRunFormat},
            {"id", r.id},
            {"number", r.number},
            {"name", r.name},
            {"status", toString(r.status)},
            {"model", r.model},
            {"modelDigest", r.modelDigest},
            {"dataset", r.dataset},
            {"datasetVersion", r.datasetVersion},
            {"datasetDigest", r.datasetDigest},
            {"seed", r.seed},
            {"createdAt", r.createdAt},
            {"endedAt", r.endedAt},
            {"step", r.step},
            {"totalSteps", r.totalSteps},
            {"loss", number(r.loss)},
            {"bestEvalLoss", number(r.bestEvalLoss)},
            {"bestStep", r.bestStep},
            {"message", r.message},
            {"colour", r.colour},
            {"settings", r.settings},
            {"extra", OrderedJson(r.extra)}};
}

Result<RunRecord> runRecordFromJson(const OrderedJson& json)
{
    try {
        return parseRecord(json);
    } catch (const std::exception&) {
        return Error{ErrorCode::InvalidInput, "the record of the run is damaged", "run.json",
                     "Put back a copy of the run's folder"};
    }
}

Result<RunRecord> readRunFile(const fs::path& runFolder)
{
    auto text = readFile(runFolder / "run.json", 64u << 20);
    if (!text)
        return text.error();
    // Parsed in the order of the file: settings are read by people.
    const auto json = OrderedJson::parse(*text, nullptr, false);
    if (json.is_discarded() || !json.is_object())
        return Error{ErrorCode::InvalidInput, "the record of the run is damaged",
                     (runFolder.filename() / "run.json").string(),
                     "Put back a copy of the run's folder"};
    auto record = runRecordFromJson(json);
    if (!record)
        return at(record.error(), runFolder.filename().string());
    record->id =
        runFolder.filename().string(); // a folder that was renamed is what it is called now
    return record;
}

Result<void> writeRunFile(const fs::path& runFolder, const RunRecord& record)
{
    return writeFileAtomically(runFolder / "run.json",
                               toJson(record).dump(2, ' ', false, Json::error_handler_t::replace) +
                                   "\n");
}

Result<std::int64_t> readEvents(const fs::path& runFolder,
                                const std::function<void(const jobs::Event&)>& take)
{
    const fs::path file = runFolder / "events.jsonl";
    std::error_code ec;
    if (!fs::exists(file, ec))
        return 0;
    std::ifstream in(file, std::ios::binary);
    if (!in.is_open())
        return Error{ErrorCode::Io, "the events of the run cannot be read", file.string(),
                     "Check the permissions"};
    std::int64_t damaged = 0;
    std::string line;
    while (std::getline(in, line)) {
        if (line.empty())
            continue;
        const auto json = line.size() > kMaxEventBytes ? Json(Json::value_t::discarded)
                                                       : Json::parse(line, nullptr, false);
        if (json.is_discarded()) {
            ++damaged;
            continue;
        }
        if (auto event = jobs::eventFromJson(json))
            take(*event);
        else
            ++damaged;
    }
    return damaged;
}

void RunProgress::forgetAfter(std::int64_t step)
{
    m_step = step;
    std::erase_if(m_evaluations, [step](const auto& each) { return each.first > step; });
}

void RunProgress::fold(const jobs::Event& event)
{
    m_any = true;
    if (const auto* step = std::get_if<jobs::StepDone>(&event)) {
        m_step = step->step;
        m_totalSteps = step->totalSteps;
        m_lastTime = step->time;
        m_loss = std::isfinite(step->loss) ? std::optional(step->loss) : std::nullopt;
    } else if (const auto* eval = std::get_if<jobs::EvalDone>(&event)) {
        m_lastTime = eval->time;
        if (std::isfinite(eval->loss))
            m_evaluations.emplace_back(eval->step, eval->loss);
    } else if (const auto* resumed = std::get_if<jobs::Resumed>(&event)) {
        forgetAfter(resumed->step);
    }
    m_end.reset();
    m_message.clear();
    if (std::holds_alternative<jobs::Finished>(event)) {
        m_end = RunStatus::Finished;
    } else if (const auto* stopped = std::get_if<jobs::Stopped>(&event)) {
        m_end = RunStatus::Stopped;
        if (stopped->result.is_object() && stopped->result.contains("step") &&
            stopped->result["step"].is_number_integer())
            m_message = fmt::format("stopped by hand, kept at step {}",
                                    stopped->result["step"].get<std::int64_t>());
    } else if (const auto* failed = std::get_if<jobs::Failed>(&event)) {
        m_end = RunStatus::Failed;
        m_message = failed->error.sentence();
    }
}

void RunProgress::apply(RunRecord& record) const
{
    if (!m_any)
        return;
    record.step = m_step;
    record.totalSteps = m_totalSteps > 0 ? m_totalSteps : record.totalSteps;
    record.loss = m_loss;
    record.bestEvalLoss.reset();
    record.bestStep = 0;
    for (const auto& [step, loss] : m_evaluations) {
        if (!record.bestEvalLoss || loss < *record.bestEvalLoss) {
            record.bestEvalLoss = loss;
            record.bestStep = step;
        }
    }
    if (m_end) {
        record.status = *m_end;
        record.message = m_message;
        if (record.endedAt == 0)
            record.endedAt = m_lastTime;
    }
}

void writeOwner(const fs::path& runFolder, bool recording)
{
    const std::int64_t pid = ::getpid();
    const Json owner = {{"pid", pid},
                        {"start", startOfProcess(pid)},
                        {"boot", bootId()},
                        {"recording", recording},
                        {"time", nowMilliseconds()}};
    // Without the file the run counts as nobody's, which costs no data: no error.
    static_cast<void>(writeFileAtomically(runFolder / "owner.json", owner.dump() + "\n"));
}

void removeOwner(const fs::path& runFolder)
{
    std::error_code ec;
    fs::remove(runFolder / "owner.json", ec);
}

Owner ownerOf(const fs::path& runFolder)
{
    const auto json = readJsonFile(runFolder / "owner.json", 65536);
    if (!json || !json->is_object())
        return {};
    try {
        Owner owner;
        const auto pid = json->at("pid").get<std::int64_t>();
        const auto start = json->at("start").get<std::int64_t>();
        owner.recording = json->at("recording").get<bool>();
        owner.alive = pid > 0 && json->at("boot").get<std::string>() == bootId() && start != 0 &&
                      startOfProcess(pid) == start;
        owner.self = owner.alive && pid == ::getpid();
        return owner;
    } catch (const std::exception&) {
        return {};
    }
}

std::vector<CheckpointRecord> verifiedCheckpoints(const fs::path& runFolder)
{
    std::vector<CheckpointRecord> list;
    std::error_code ec;
    for (fs::directory_iterator it(runFolder / "checkpoints", ec), end; !ec && it != end;
         it.increment(ec)) {
        const auto step = stepOfFolder(it->path().filename().string());
        if (!step || !hasSoundManifest(it->path()))
            continue;
        list.push_back({*step, (fs::path("checkpoints") / it->path().filename()).string(), false,
                        fs::exists(it->path() / "PINNED", ec)});
    }
    std::sort(list.begin(), list.end(),
              [](const auto& a, const auto& b) { return a.step < b.step; });
    return list;
}

} // namespace fettle::store
