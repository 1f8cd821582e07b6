#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace fettle::tensor {

/// How many threads share the work of the calling one.
std::int64_t computeThreads();

/// Runs task(0) .. task(count - 1), each once, on the compute threads; whoever is free takes the
/// next. Returns when all are done. What a task gives must not depend on who runs it.
void parallelTasks(std::int64_t count, const std::function<void(std::int64_t)>& task);

/// Independent pieces of work that may run at the same time.
using TaskList = std::vector<std::function<void()>>;
void runTasks(const TaskList& tasks);

} // namespace fettle::tensor
