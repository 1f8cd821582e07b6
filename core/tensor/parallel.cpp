#include "tensor/parallel.h"

#include "tensor/torch_pch.h"

#include <algorithm>
#include <atomic>

namespace fettle::tensor {

std::int64_t computeThreads() { return at::get_num_threads(); }

void parallelTasks(std::int64_t count, const std::function<void(std::int64_t)>& task)
{
    std::atomic<std::int64_t> next = 0;
    const auto threads = std::min(count, computeThreads());
    at::parallel_for(0, threads, 1, [&](std::int64_t, std::int64_t) {
        for (auto number = next++; number < count; number = next++)
            task(number);
    });
}

void runTasks(const TaskList& tasks)
{
    parallelTasks(static_cast<std::int64_t>(tasks.size()),
                  [&](std::int64_t number) { tasks[static_cast<std::size_t>(number)](); });
}

} // namespace fettle::tensor
