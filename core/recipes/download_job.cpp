#include "base/text.h"
#include "hub/download.h"
#include "model/import/import.h"
#include "recipes/front_door.h"
#include "recipes/model_intake.h"

namespace fettle::recipes {

namespace fs = std::filesystem;

namespace {

/// Fetches a model from a hub, then imports it like any other folder.
class DownloadJob final : public jobs::Job
{
public:
    DownloadJob(std::shared_ptr<store::Workspace> workspace, DownloadPlan plan)
        : m_workspace(std::move(workspace))
        , m_plan(std::move(plan))
    {
    }

    std::string title() const override { return "download a model"; }

    Result<jobs::JobEnd> run(jobs::JobContext& context) override
    {
        const auto wanted = hub::parseHubName(m_plan.model);
        if (!wanted)
            return wanted.error();
        auto access = hub::accessFrom(*m_workspace);
        if (!access)
            return access.error();
        if (m_plan.name.empty())
            m_plan.name = wanted->id.substr(wanted->id.find('/') + 1);
        if (auto free = checkNameIsFree(*m_workspace, m_plan.name); !free)
            return free.error();
        if (!m_plan.base.empty() && !m_workspace->model(m_plan.base))
            return m_workspace->model(m_plan.base).error();
        context.emit(jobs::PhaseChanged{"ask the hub", -1, hub::originOf(access->address)});
        const auto fetched = hub::download(*access, *wanted, m_workspace->folder() / "downloads",
                                           progressTo(context), context.stopToken());
        if (!fetched)
            return fetched.error();
        auto end = takeInFetched(*fetched, *access, context);
        if (end) {
            std::error_code ec;
            fs::remove_all(fetched->folder, ec);
        }
        return end;
    }

private:
    static hub::DownloadProgress progressTo(jobs::JobContext& context)
    {
        return [&context](std::uint64_t done, std::uint64_t total, const std::string& file) {
            const double all = static_cast<double>(std::max<std::uint64_t>(1, total));
            context.emit(
                jobs::PhaseChanged{"download", static_cast<double>(done) / all,
                                   file + ", " + humanBytes(done) + " of " + humanBytes(total)});
        };
    }

    Result<jobs::JobEnd> takeInFetched(const hub::Downloaded& fetched, const hub::HubAccess& access,
                                       jobs::JobContext& context) const
    {
        const Json info = {{"origin", fetched.id},
                           {"hub",
                            {{"address", hub::originOf(access.address)},
                             {"model", fetched.id},
                             {"revision", fetched.revision},
                             {"commit", fetched.commit}}}};
        if (fetched.adapter && m_plan.base.empty())
            return Error{ErrorCode::InvalidInput, "this is an adapter, not a model", fetched.id,
                         "Fetch its base first, then name the base with the adapter (--base)"};
        if (fetched.adapter)
            return takeInAdapter(*m_workspace, m_plan.name, fetched.folder, m_plan.base, info,
                                 context);
        const auto make = [&](const fs::path& folder, const model::ImportProgress& progress,
                              std::stop_token stop) {
            return model::importModel(fetched.folder, folder, progress, std::move(stop));
        };
        return takeIn(*m_workspace, m_plan.name, info, make, context);
    }

    std::shared_ptr<store::Workspace> m_workspace;
    DownloadPlan m_plan;
};

} // namespace

std::shared_ptr<jobs::Job> makeDownloadJob(std::shared_ptr<store::Workspace> workspace,
                                           DownloadPlan plan)
{
    return std::make_shared<DownloadJob>(std::move(workspace), std::move(plan));
}

} // namespace fettle::recipes
