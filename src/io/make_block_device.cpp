#include <algorithm>

#include "io/block_device.h"
#include "io/pread_device.h"
#include "io/uring_device.h"

namespace hypura {

std::unique_ptr<BlockDevice> make_block_device(const BlockDeviceOptions& options) {
  BlockDeviceOptions bounded = options;
  bounded.depth = std::clamp(options.depth, 1u, kDeviceDepthMax);
  if (bounded.allow_uring) {
    Result<std::unique_ptr<BlockDevice>> uring = make_uring_device(bounded);
    if (uring.ok()) return std::move(*uring);
  }
  return make_pread_device(bounded);
}

}  // namespace hypura
