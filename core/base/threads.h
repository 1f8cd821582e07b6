#pragma once

namespace fettle {

/// Whether so many threads can be started beside those there are. Ask before a library starts some: where
/// the memory is too short for one, LibTorch waits for it for ever and OpenMP ends the program.
bool roomForThreads(int count);

} // namespace fettle
