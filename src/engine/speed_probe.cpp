#include "engine/speed_probe.h"

#include <algorithm>
#include <map>

#include "backend/compute_speed.h"
#include "residency/raw_bandwidth.h"

namespace hypura {
namespace {

// Opening a model may read 8 MiB beside the weights that stay.
constexpr uint64_t kReadBytes = uint64_t{7} << 20;

int commonest_streamed_type(const ModelIndex& index, const Layout& layout) {
  std::map<int, uint64_t> bytes;
  for (uint32_t i = 0; i < layout.homes.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (layout.homes[i].home == Home::stream) bytes[tensor.type] += tensor.bytes;
  }
  const auto most = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) {
    return a.second < b.second;
  });
  return most == bytes.end() ? -1 : most->first;
}

}  // namespace

Speeds measure_speeds(const ModelIndex& index, const Layout& layout, BlockDevice& device,
                      int threads) {
  Speeds speeds;
  if (const int type = commonest_streamed_type(index, layout); type >= 0) {
    speeds.compute = compute_speed(type, threads);
  }
  Result<std::unique_ptr<RawBandwidth>> raw = RawBandwidth::open(index, device);
  if (!raw.ok()) return speeds;
  const Result<RawRead> read = (*raw)->measure(kReadBytes);
  if (read.ok()) speeds.drive = 1e9 * read->gbps();
  return speeds;
}

}  // namespace hypura
