#include "cli/run_job.h"

#include "cli/output.h"
#include "cli/progress.h"
#include "recipes/front_door.h"

#include <csignal>

namespace fettle::cli {

namespace {

constexpr int kPollMilliseconds = 100;

volatile std::sig_atomic_t interruptSeen = 0;

} // namespace

void catchInterrupts()
{
    struct sigaction action = {};
    action.sa_handler = [](int) { interruptSeen = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND); // the second one has its usual effect
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interruptSeen != 0; }

Result<JobOutcome> runJob(std::shared_ptr<jobs::Job> job, const EventSink& sink)
{
    catchInterrupts();
    jobs::Worker worker(recipes::prepareWorkerThread);
    const auto handle = worker.submit(std::move(job));
    bool asked = false;
    for (;;) {
        for (const auto& event : handle->events()->waitAll(kPollMilliseconds)) {
            sink(event);
            if (!jobs::isEnd(event))
                continue;
            wipeProgress();
            if (const auto* failed = std::get_if<jobs::Failed>(&event))
                return failed->error;
            if (const auto* stopped = std::get_if<jobs::Stopped>(&event))
                return JobOutcome{stopped->result, true};
            return JobOutcome{std::get<jobs::Finished>(event).result, false};
        }
        if (interrupted() && !asked) {
            asked = true;
            handle->requestStop();
            say("Stopping, keeping what is done. Press Ctrl-C again to end at once.");
        }
    }
}

Result<JobOutcome> runJob(std::shared_ptr<jobs::Job> job)
{
    ProgressView view;
    return runJob(std::move(job), [&view](const jobs::Event& event) { view.show(event); });
}

} // namespace fettle::cli
