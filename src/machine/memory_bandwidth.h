#pragma once

#include <atomic>
#include <cstddef>
#include <span>

#include "machine/repeated.h"

namespace hypura {

// Gigabytes a second that `threads` threads read from `memory` together, in rounds of 20 ms over
// `seconds`. It should be several times the processor's caches, and present. Empty once *stop is
// set.
Repeated memory_read_gbps(std::span<const std::byte> memory, int threads, double seconds,
                          const std::atomic<bool>* stop = nullptr);

}  // namespace hypura
