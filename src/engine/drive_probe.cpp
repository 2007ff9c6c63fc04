#include "engine/drive_probe.h"

#include <utility>

namespace hypura {

Result<std::unique_ptr<DriveProbe>> DriveProbe::open(const ModelIndex& index) {
  std::unique_ptr<DriveProbe> probe(new DriveProbe());
  probe->device_ = make_block_device({});
  Result<std::unique_ptr<RawBandwidth>> raw = RawBandwidth::open(index, *probe->device_);
  if (!raw.ok()) return raw.status();
  probe->raw_ = *std::move(raw);
  return probe;
}

}  // namespace hypura
