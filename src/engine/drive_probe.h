#pragma once

#include <memory>

#include "base/status.h"
#include "io/block_device.h"
#include "model/model_index.h"
#include "residency/raw_bandwidth.h"

namespace hypura {

// The drive that holds a model, measured apart from any engine but as one would read it: with the
// machine's best device. Confined to one thread. The index outlives it.
class DriveProbe {
 public:
  static Result<std::unique_ptr<DriveProbe>> open(const ModelIndex& index);

  RawBandwidth& raw() { return *raw_; }
  const char* device_name() const { return device_->name(); }

 private:
  DriveProbe() = default;

  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<RawBandwidth> raw_;  // ends before its device
};

}  // namespace hypura
