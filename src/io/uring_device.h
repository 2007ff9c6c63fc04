#pragma once

#include <memory>

#include "base/status.h"
#include "io/block_device.h"

namespace hypura {

// Reads through one io_uring, without threads of our own. Fails where the kernel lacks io_uring or
// forbids it (containers often do). REQUIRES: 0 < depth <= kDeviceDepthMax.
Result<std::unique_ptr<BlockDevice>> make_uring_device(const BlockDeviceOptions& options);

}  // namespace hypura
