#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/own_groups.h"

namespace hypura {

// How things stand with memory, at one moment.
struct MemoryFacts {
  double seconds = 0;            // of a clock that only goes on
  uint64_t available_bytes = 0;  // as available_bytes() of machine/memory.h
  uint64_t resident_bytes = 0;   // of this process
  double stalled_share = 0;      // of the time since the last look somebody waited for memory (PSI)
                                 // macOS: 1 while its kernel says that memory is short
  uint64_t major_faults = 0;     // of this process since the last look
};

// Looks at memory often: files of /proc and of the control groups stay open, so that a look costs
// 13 us (measured) and not 190. What the system does not tell is left out; without PSI (control
// groups of version 1 have none) the rest has to do. Used by one thread.
class PressureGauge {
 public:
  // `root` is put in front of all paths, for tests.
  explicit PressureGauge(const std::string& root = "");
  ~PressureGauge();

  MemoryFacts look();

 private:
  class File;
  // One level of the group's hierarchy; a process is held to the limits of all.
  struct Level {
    std::unique_ptr<File> limit;
    std::unique_ptr<File> usage;
    std::unique_ptr<File> statistics;
    std::string droppable_key;
  };

  void add_level(const OwnGroup& group);
  uint64_t available_bytes() const;
  // Microseconds stalled since boot.
  uint64_t stalled_us() const;

  std::unique_ptr<File> system_;
  std::unique_ptr<File> process_;
  std::vector<Level> levels_;
  std::vector<std::unique_ptr<File>> pressures_;  // the system's, and the group's own
  std::optional<double> looked_seconds_;
  uint64_t looked_stalled_us_ = 0;
  uint64_t looked_major_faults_ = 0;
};

}  // namespace hypura
