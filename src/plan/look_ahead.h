#pragma once

#include <cstdint>

namespace hypura {

// What was measured of a machine and a model, in bytes of weights a second; 0: not measured.
struct Speeds {
  double drive = 0;    // read, with the queue full
  double compute = 0;  // multiplied with one token
};

// Slots of the dense ring with which the drive does not wait for a free one: what it reads while
// `stretch_bytes` of pinned weights compute in one go, and while it or the machine hiccups, beside
// the pieces that are being computed and read. REQUIRES: slot_bytes > 0.
uint32_t look_ahead_slots(const Speeds& speeds, uint64_t stretch_bytes, uint64_t slot_bytes);

}  // namespace hypura
