#include "hub/download.h"

#include "base/atomic_file.h"
#include "base/checked.h"
#include "base/clock.h"
#include "hub/http.h"
#include "hub/partial_file.h"
#include "model/import/model_config.h"
#include "model/import/weight_writer.h"
#include "store/places.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace fettle::hub {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxAnswer = 32u << 20; // bytes of a list of files
constexpr std::uint64_t kMaxSmallFile = 512u << 20;
constexpr int kMaxContinuations = 1000; // a line that breaks, but brings something each time

/// What an answer without success means, and what to do.
Error refusal(const HttpAnswer& answer, const HubAccess& access, const HubName& name)
{
    const auto code = answer.header("x-error-code");
    const std::string where = name.id;
    const bool token = !access.token.empty();
    if (answer.status == 403 || code == "GatedRepo")
        return {ErrorCode::InvalidInput,
                "the publisher lets people in one by one, and this account is not let in", where,
                token ? "Open the model's page on the hub in a browser, accept its conditions, and "
                        "wait for the answer"
                      : "Open the model's page on the hub in a browser, accept its conditions, "
                        "make a token there, and keep it here (Settings > Privacy, or HF_TOKEN)"};
    if (answer.status == 401 && token)
        return {ErrorCode::InvalidInput,
                "the hub does not take the token, or there is no such model", where,
                "Check the name and the token (Settings > Privacy, or HF_TOKEN)"};
    if (answer.status == 401)
        return {ErrorCode::InvalidInput,
                "there is no such model, or the hub shows it to known people alone", where,
                "Check the name; for a private model make a token on the hub and keep it here "
                "(Settings > Privacy, or HF_TOKEN)"};
    if (code == "RevisionNotFound")
        return {ErrorCode::NotFound, fmt::format("the model has no revision \"{}\"", name.revision),
                where, "Name a branch, a tag or a commit that its page shows"};
    if (code == "EntryNotFound")
        return {ErrorCode::NotFound, "a file of the list is not there", where,
                "Try again, or choose another revision"};
    if (answer.status == 404)
        return {ErrorCode::NotFound, "there is no such model on the hub", where,
                "Check the name: owner/name"};
    if (answer.status == 429)
        return {ErrorCode::Io, "the hub asks us to wait: too many requests", where,
                "Try again in some minutes"};
    if (answer.status >= 500)
        return {ErrorCode::Io, fmt::format("the hub has trouble itself (answer {})", answer.status),
                where, "Try again later; what was fetched is kept"};
    return {ErrorCode::Io, fmt::format("the hub gave the unexpected answer {}", answer.status),
            where, "Check the address of the hub"};
}

std::optional<Error> problemOf(const HttpAnswer& answer, const HubAccess& access,
                               const HubName& name)
{
    if (answer.failure)
        return answer.failure;
    if (answer.status < 200 || answer.status >= 300)
        return refusal(answer, access, name);
    return std::nullopt;
}

/// Keeps a second process out of a folder of downloads; free again when it goes.
class FolderLock
{
public:
    ~FolderLock()
    {
        if (m_fd >= 0)
            ::close(m_fd);
    }
    Result<void> take(const fs::path& folder)
    {
        m_fd = ::open((folder / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (m_fd >= 0 && ::flock(m_fd, LOCK_EX | LOCK_NB) == 0)
            return {};
        return Error{ErrorCode::Busy, "this model is being fetched already",
                     folder.filename().string(), "Wait until that download has ended"};
    }

private:
    int m_fd = -1;
};

class Downloader
{
public:
    Downloader(const HubAccess& access, const HubName& name, HubListing listing, fs::path folder,
               const DownloadProgress& progress, const std::stop_token& stop)
        : m_access(access)
        , m_name(name)
        , m_listing(std::move(listing))
        , m_folder(std::move(folder))
        , m_progress(progress)
        , m_stop(stop)
    {
    }

    Result<Downloaded> run()
    {
        auto choice = chooseFiles(m_listing);
        if (!choice)
            return choice.error();
        plan(choice->small);
        if (choice->index)
            plan({*choice->index});
        plan(choice->weights);
        if (auto fetched = fetchAll(choice->small); !fetched)
            return fetched.error();
        if (!choice->adapter) {
            if (auto config = model::readModelConfig(m_folder); !config)
                return config.error();
        }
        if (choice->index) {
            auto weights = weightsOfIndex(*choice->index);
            if (!weights)
                return weights.error();
            choice->weights = *std::move(weights);
            plan(choice->weights);
        }
        if (auto room = checkRoom(choice->weights); !room)
            return room.error();
        if (auto fetched = fetchAll(choice->weights); !fetched)
            return fetched.error();
        return Downloaded{m_folder, m_name.id,       m_name.revision, m_listing.commit,
                          m_done,   choice->adapter, choice->pickles};
    }

private:
    void plan(const std::vector<HubFile>& files)
    {
        for (const auto& file : files)
            m_total += file.size.value_or(0);
    }

    Result<std::vector<HubFile>> weightsOfIndex(const HubFile& index)
    {
        if (auto fetched = fetchAll({index}); !fetched)
            return fetched.error();
        const auto json = readJsonFile(m_folder / index.name, 100u << 20);
        if (!json)
            return json.error();
        return filesOfIndex(m_listing, *json);
    }

    /// The rest of the weights, and once more all of it for the model that the import makes of
    /// them.
    Result<void> checkRoom(const std::vector<HubFile>& weights) const
    {
        Checked needed = 0;
        std::error_code ec;
        for (const auto& file : weights) {
            const auto size = file.size.value_or(0);
            std::uint64_t have = 0;
            for (const char* ending : {"", ".part"}) {
                const auto there = fs::file_size(m_folder / (file.name + ending), ec);
                have += ec ? 0 : there;
            }
            needed += Checked(size);
            needed += Checked(size - std::min(size, have));
        }
        return model::checkRoom(m_folder, needed.ok() ? needed.value() : ~std::uint64_t{0});
    }

    Result<void> fetchAll(const std::vector<HubFile>& files)
    {
        for (const auto& file : files) {
            if (auto fetched = fetch(file); !fetched)
                return fetched;
        }
        return {};
    }

    void tell(std::uint64_t ofThis, const std::string& name) const
    {
        if (m_progress)
            m_progress(m_done + ofThis, std::max(m_total, m_done + ofThis), name);
    }

    Result<void> fetch(const HubFile& file)
    {
        std::error_code ec;
        if (fs::exists(m_folder / file.name, ec)) {
            const auto complete = isComplete(m_folder / file.name, file);
            if (!complete)
                return complete.error();
            if (*complete) {
                m_done += fs::file_size(m_folder / file.name, ec);
                tell(0, file.name);
                return {};
            }
            fs::remove(m_folder / file.name, ec);
        }
        PartialFile part(m_folder, file);
        if (auto opened = part.open(); !opened)
            return opened;
        if (auto fetched = fetchRest(file, part); !fetched)
            return fetched;
        if (auto finished = part.finish(); !finished)
            return finished;
        m_done += part.have();
        tell(0, file.name);
        return {};
    }

    Result<void> fetchRest(const HubFile& file, PartialFile& part)
    {
        for (int i = 0; !part.complete() && i < kMaxContinuations; ++i) {
            const auto before = part.have();
            const auto answer = httpGetPatiently(
                m_access, [&] { return requestFor(file, part); }, m_stop);
            if (answer.status == 416 && !answer.failure && part.have() > 0) {
                if (auto again = part.restart(); !again) // the part belongs to something else
                    return again;
                continue;
            }
            const auto problem = problemOf(answer, m_access, m_name);
            if (!problem)
                return {};
            if (!answer.passing || part.have() <= before)
                return *problem;
        }
        return {};
    }

    HttpRequest requestFor(const HubFile& file, PartialFile& part) const
    {
        HttpRequest request;
        request.url = fmt::format("{}/{}/resolve/{}/{}", m_access.address, m_name.id,
                                  m_listing.commit, urlEscaped(file.name));
        request.headers = part.headers();
        request.begin = [this, &part](const HttpAnswer& answer) -> Result<void> {
            const auto commit = answer.header("x-repo-commit");
            if (!commit.empty() && commit != m_listing.commit)
                return Error{ErrorCode::InvalidInput, "the hub sends a file of another commit",
                             m_name.id, "Try again; the model was changed meanwhile"};
            return part.begin(answer);
        };
        request.body = [this, &part, &file, last = Stopwatch(),
                        first = true](const char* data, std::size_t size) mutable {
            auto written = part.write(data, size);
            if (first || last.seconds() > 0.1) {
                tell(part.have(), file.name);
                last.restart();
            }
            first = false;
            return written;
        };
        return request;
    }

    const HubAccess& m_access;
    const HubName& m_name;
    HubListing m_listing;
    fs::path m_folder;
    const DownloadProgress& m_progress;
    const std::stop_token& m_stop;
    std::uint64_t m_done = 0, m_total = 0;
};

/// What nobody has gone on with for thirty days, such as parts of a commit that was replaced.
void removeForgotten(const fs::path& downloads)
{
    const auto limit = fs::file_time_type::clock::now() - std::chrono::hours(24 * 30);
    std::error_code ec;
    for (fs::directory_iterator it(downloads, ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code each;
        if (it->is_symlink(each) || !it->is_directory(each) || it->last_write_time(each) > limit)
            continue;
        FolderLock lock;
        if (lock.take(it->path()))
            fs::remove_all(it->path(), each);
    }
}

/// "owner--name--0123456789ab": the model at one commit.
std::string folderName(const HubListing& listing)
{
    std::string name = listing.id;
    if (const auto slash = name.find('/'); slash != std::string::npos)
        name.replace(slash, 1, "--");
    return fmt::format("{}--{}", name, listing.commit.substr(0, 12));
}

} // namespace

Result<HubListing> listFiles(const HubAccess& access, const HubName& name,
                             const std::stop_token& stop)
{
    if (auto fine = checkModelId(name.id); !fine)
        return fine.error();
    if (auto fine = checkRevision(name.revision); !fine)
        return fine.error();
    std::string text;
    const auto make = [&] {
        text.clear();
        HttpRequest request;
        request.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", access.address,
                                  name.id, urlEscaped(name.revision));
        request.body = [&text](const char* data, std::size_t size) -> Result<void> {
            if (text.size() + size > kMaxAnswer)
                return Error{ErrorCode::InvalidInput, "the hub's list of files is impossibly long",
                             "hub", "Check the address of the hub"};
            text.append(data, size);
            return {};
        };
        return request;
    };
    const auto answer = httpGetPatiently(access, make, stop);
    if (auto problem = problemOf(answer, access, name))
        return *problem;
    const auto json = parseJson(text, "hub");
    if (!json)
        return Error{ErrorCode::InvalidInput, "the answer is not that of a hub of models",
                     originOf(access.address), "Check the address of the hub"};
    return parseListing(*json, name.id);
}

Result<Downloaded> download(const HubAccess& access, const HubName& name, const fs::path& downloads,
                            const DownloadProgress& progress, const std::stop_token& stop)
{
    auto listing = listFiles(access, name, stop);
    if (!listing)
        return listing.error();
    removeForgotten(downloads);
    const auto folder = downloads / folderName(*listing);
    if (auto made = store::makePrivateFolder(folder); !made)
        return made.error();
    FolderLock lock;
    if (auto taken = lock.take(folder); !taken)
        return taken.error();
    return Downloader(access, name, *std::move(listing), folder, progress, stop).run();
}

} // namespace fettle::hub
