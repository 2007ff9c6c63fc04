#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"

namespace hypura {

// What one layer's router chose for the tokens of a batch. Where a batch has more tokens than its
// last layers compute, these compute the last of them.
struct LayerRouting {
  uint32_t layer = 0;
  uint32_t choices = 0;              // experts a token
  std::span<const int32_t> experts;  // choices of the first token, of the second, ...
};

// Is told of every routing once, whatever the number of projections that use it. Called by the
// computing thread, in the order of the layers; a layer that comes again begins the next batch.
class RoutingRecorder {
 public:
  virtual ~RoutingRecorder() = default;
  // An error ends the computation.
  virtual Status on_routing(const LayerRouting& routing) = 0;
};

}  // namespace hypura
