#pragma once

#include <cstdint>
#include <string>

namespace hypura {

// What a measurement's reader has to know about the machine it was taken on.
struct MachineDescription {
  std::string cpu;
  unsigned cores = 0;
  uint64_t memory_bytes = 0;
  std::string system;  // "Linux 6.18.44"
  double load = 0;     // over the last minute
};

MachineDescription describe_machine();

}  // namespace hypura
