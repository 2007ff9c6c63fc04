#pragma once

#include <cstdint>

#include "machine/profile.h"

namespace hypura {

// A model, as far as a rule of thumb goes.
struct ModelShape {
  uint64_t bytes = 0;
  double active_share = 1;  // of the bytes, used by a token; 1: dense
};

struct ThumbSpeed {
  double decode_tps = 0;      // 0: not known
  double resident_share = 1;  // of the model, in memory
  bool drive_bound = false;
};

// What is left for weights of `available_bytes`, less a tenth and 1 GiB for context and buffers.
uint64_t weight_capacity(uint64_t available_bytes);

// The longer of computing what a token uses and reading what of it is not in memory. No context, no
// cleverness: experts are used evenly. Weights in 4 bits on all cores. Pure.
ThumbSpeed rule_of_thumb(const MachineProfile& machine, uint64_t capacity_bytes,
                         const ModelShape& model);

}  // namespace hypura
