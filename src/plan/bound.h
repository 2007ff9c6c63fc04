#pragma once

#include <cstdint>

#include "model/model_index.h"

namespace hypura {

// A model's bytes by how a token uses them.
struct TokenBytes {
  uint64_t dense = 0;    // all read for every token
  uint64_t experts = 0;  // all there are
  uint64_t routed = 0;   // of these, a token's
};

// Embeddings that are only looked up count nothing (a token needs one row); those that are the
// output matrix too count as dense.
TokenBytes token_bytes(const ModelIndex& index);

struct BoundInput {
  TokenBytes bytes;
  uint64_t memory_bytes = 0;   // for weights: budget less KV, activations and buffers
  double drive_gbps = 0;       // raw
  double compute_seconds = 0;  // of a token
};

// The least time a token can take, whatever the caching and overlap.
struct Bound {
  double slot_share = 0;     // of the experts, in memory
  double missing_bytes = 0;  // a token's, not in memory
  double drive_seconds = 0;  // to read them
  double seconds = 0;        // the larger of that and computing
};

// An ideal cache keeps dense weights first, as every token needs them, then experts. They are taken
// to be chosen evenly: where routing is skewed, a cache of the favourites can be faster than this.
Bound bound_of(const BoundInput& input);

}  // namespace hypura
