#pragma once

#include <cstdint>

#include "base/status.h"
#include "common.h"

namespace hypura {

// What a projector (the encoder of images and sound, --mmproj) takes while it computes the largest
// input that it accepts: weights and activations.
struct ProjectorSize {
  uint64_t ram_bytes = 0;
  uint64_t gpu_bytes = 0;
};

// Of the one that `params` name; nothing without one. No weight of it is read. Errors: invalid_model.
Result<ProjectorSize> measure_projector(const common_params& params);

}  // namespace hypura
