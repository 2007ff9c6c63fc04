#pragma once

#include <chrono>
#include <cstdint>

namespace hypura {

// Since some moment in the past, by a clock that nobody sets. Whatever tests run in simulated time
// takes its clock as a parameter.
inline uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}
inline double now_seconds() { return static_cast<double>(now_ns()) * 1e-9; }

}  // namespace hypura
