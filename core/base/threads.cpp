#include "base/threads.h"

#include <latch>
#include <system_error>
#include <thread>
#include <vector>

namespace fettle {

bool roomForThreads(int count)
{
    std::latch tried(1);
    std::vector<std::jthread> threads; // goes away, joined, before the latch
    bool room = true;
    try {
        for (int i = 0; i < count; ++i)
            threads.emplace_back([&] { tried.wait(); });
    } catch (const std::system_error&) {
        room = false;
    }
    tried.count_down(); // until here all of them were there
    return room;
}

} // namespace fettle
