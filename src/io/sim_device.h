#pragma once

#include <cstdint>
#include <memory>

#include "io/block_device.h"

namespace hypura {

// Probabilities in [0, 1], per attempt.
struct SimFaults {
  double eio = 0;            // transient: a retry draws again
  double eio_permanent = 0;  // this read never succeeds
  double short_read = 0;
  double eintr = 0;
  double latency_spike = 0;  // 1000x latency_ns
};

struct SimOptions {
  uint64_t seed = 1;
  uint32_t depth = 16;
  uint64_t latency_ns = 1000;  // virtual time; nothing sleeps
  bool reorder = true;         // results come in drawn order
  SimFaults faults;
};

// A block device in virtual time over real files: the bytes are the file's, everything else (order,
// latency, faults) is drawn from the seed, so one seed is one history. A finished read's bytes
// appear in its buffer only when it is reaped; until then the buffer is filled with 0xA5, so that
// whoever trusts a slot too early computes garbage.
std::unique_ptr<BlockDevice> make_sim_device(const SimOptions& options);

}  // namespace hypura
