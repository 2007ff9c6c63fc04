#pragma once

#include <cstdint>
#include <memory>

#include "io/block_device.h"

namespace hypura {

inline constexpr uint32_t kPreadThreadsMax = 8;

// Reads through a pool of at most kPreadThreadsMax threads that call pread: for kernels without
// io_uring, and for macOS. REQUIRES: 0 < depth <= kDeviceDepthMax.
std::unique_ptr<BlockDevice> make_pread_device(const BlockDeviceOptions& options);

}  // namespace hypura
