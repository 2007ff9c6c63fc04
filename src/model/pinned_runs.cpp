#include "model/pinned_runs.h"

#include <algorithm>
#include <tuple>

namespace hypura {

std::vector<PinnedRun> pinned_runs(const ModelIndex& index, const std::vector<TensorHome>& homes) {
  std::vector<TensorId> pinned;
  for (uint32_t i = 0; i < homes.size(); ++i) {
    if (homes[i].home == Home::pinned) pinned.push_back(TensorId{i});
  }
  std::sort(pinned.begin(), pinned.end(), [&](TensorId a, TensorId b) {
    const TensorInfo& left = index.tensor(a);
    const TensorInfo& right = index.tensor(b);
    return std::tie(left.shard, left.offset) < std::tie(right.shard, right.offset);
  });

  std::vector<PinnedRun> runs;
  for (const TensorId id : pinned) {
    const TensorInfo& tensor = index.tensor(id);
    const bool adjacent = !runs.empty() && runs.back().shard == tensor.shard &&
                          tensor.offset - (runs.back().offset + runs.back().bytes) < kBlockBytes;
    if (!adjacent) runs.push_back({.shard = tensor.shard, .offset = tensor.offset});
    PinnedRun& run = runs.back();
    run.bytes = tensor.offset + tensor.bytes - run.offset;
    run.tensors.push_back(id);
  }
  return runs;
}

}  // namespace hypura
