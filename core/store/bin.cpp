// What people remove lies in bin/ for 30 days: bin/<milliseconds>-<kind>-<name>.

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/places.h"
#include "store/workspace_parts.h"

#include <charconv>
#include <fmt/format.h>

namespace fettle::store {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kKeptMilliseconds = std::int64_t{30} * 24 * 60 * 60 * 1000;

} // namespace

Result<fs::path> moveToBin(const fs::path& workspace, const fs::path& folder,
                           const std::string& kind)
{
    const fs::path bin = workspace / "bin";
    if (auto made = makePrivateFolder(bin); !made)
        return made.error();
    for (std::int64_t time = nowMilliseconds();; ++time) {
        const fs::path target =
            bin / fmt::format("{}-{}-{}", time, kind, folder.filename().string());
        std::error_code ec;
        if (fs::exists(target, ec))
            continue;
        if (auto moved = publishFolder(folder, target); !moved)
            return moved.error();
        return target;
    }
}

void emptyOldBin(const fs::path& workspace, std::int64_t now)
{
    std::error_code ec;
    for (fs::directory_iterator it(workspace / "bin", ec), end; !ec && it != end;
         it.increment(ec)) {
        const std::string name = it->path().filename().string();
        std::int64_t time = 0;
        const auto [at, status] = std::from_chars(name.data(), name.data() + name.size(), time);
        if (status != std::errc() || *at != '-' || now - time < kKeptMilliseconds)
            continue;
        std::error_code removal;
        fs::remove_all(it->path(), removal);
        logInfo("store", "{} an entry of the bin after 30 days",
                removal ? "could not remove" : "removed");
    }
}

} // namespace fettle::store
