#pragma once

#include "cli/session.h"
#include "jobs/job.h"

#include <functional>

namespace fettle::cli {

/// How a job ended when it did not fail.
struct JobOutcome
{
    Json result;
    bool stopped = false; ///< by a person (Ctrl-C)
    int exit() const { return stopped ? kInterrupted : kDone; }
};

/// Sees every event of the job, the end included.
using EventSink = std::function<void(const jobs::Event&)>;

/// Runs a job on a worker thread and hands its events to `sink` on this one. The first Ctrl-C asks
/// it to stop and keep what it has; the second one kills the program.
Result<JobOutcome> runJob(std::shared_ptr<jobs::Job> job, const EventSink& sink);
/// With the usual progress on stderr.
Result<JobOutcome> runJob(std::shared_ptr<jobs::Job> job);

/// From now on the first Ctrl-C (or SIGTERM) is only noted. Used while something runs that can
/// stop.
void catchInterrupts();
bool interrupted();

} // namespace fettle::cli
