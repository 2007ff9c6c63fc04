#pragma once

#include "io/block_device.h"
#include "model/layout.h"
#include "model/model_index.h"
#include "plan/look_ahead.h"

namespace hypura {

// How fast `device` reads the model and `threads` threads compute the type most of its streamed
// weights have, measured in 10 ms and kSpeedProbeBytes of memory. So short a read understates the
// drive (1.7 where a long one finds 2.4 GB/s). What cannot be measured stays 0: a drive that fails
// will say so when it is read for real.
inline constexpr uint64_t kSpeedProbeBytes = uint64_t{64} << 20;
Speeds measure_speeds(const ModelIndex& index, const Layout& layout, BlockDevice& device,
                      int threads);

}  // namespace hypura
