#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hypura {

// What makes a measurement worth less. Shares are of the rate.
struct Doubts {
  bool quick = false;
  bool direct = true;       // the drive was read around the page cache
  bool in_memory = false;   // the file's only home is RAM
  bool temporary = false;   // it was made for this
  uint64_t file_bytes = 0;  // that was read; 0: no drive was measured
  double drive_spread = 0;
  double drive_slowdown = 0;
  double compute_spread = 0;
  double compute_slowdown = 0;
  double memory_spread = 0;
  uint64_t throttle_events = 0;  // while it was measured
  double load = 0;               // before it
  int cores = 0;
};

// One line each, for people; empty if all is well. Pure.
std::vector<std::string> warnings_of(const Doubts& doubts);

}  // namespace hypura
