#pragma once

#include <atomic>
#include <string>

namespace hypura {

// What the page cache of the system gives, in gigabytes a second; 0 where it cannot be measured or
// the file cannot be read: direct reads tell why. Each takes about 0.3 s and leaves the part of the
// file that it read out of the cache, as llama.cpp's own mapping would want it least.

// Copying from it what it holds.
double cached_read_gbps(const std::string& path, const std::atomic<bool>* stop);

// Faulting in pages of a mapping that it does not hold, in order, on one thread.
double paged_read_gbps(const std::string& path, const std::atomic<bool>* stop);

}  // namespace hypura
