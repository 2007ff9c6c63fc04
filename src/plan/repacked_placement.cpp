#include "plan/repacked_placement.h"

#include <algorithm>

#include "base/check.h"

namespace hypura {
namespace {

// What place() pinned and can be repacked, the largest last. Routers stay: to guess the next
// experts they are applied ahead of their graph, to a row that no graph has prepared.
std::vector<TensorId> candidates(const ModelIndex& index, const Layout& layout,
                                 const std::vector<uint64_t>& repacked_bytes) {
  std::vector<TensorId> found;
  for (uint32_t i = 0; i < layout.homes.size(); ++i) {
    if (layout.homes[i].home != Home::pinned || repacked_bytes[i] == 0) continue;
    if (index.tensor(TensorId{i}).role != TensorRole::router) found.push_back(TensorId{i});
  }
  std::stable_sort(found.begin(), found.end(), [&](TensorId a, TensorId b) {
    return index.tensor(a).bytes < index.tensor(b).bytes;
  });
  return found;
}

}  // namespace

Result<Layout> place_repacked(const ModelIndex& index, const PlacementInput& input,
                              const std::vector<uint64_t>& repacked_bytes) {
  HYPURA_CHECK(repacked_bytes.size() == index.tensors().size());
  Result<Layout> pinned = place(index, input);
  if (!pinned.ok()) return pinned;

  std::vector<TensorId> moved = candidates(index, *pinned, repacked_bytes);
  PlacementInput rest;
  uint64_t moved_bytes = 0;
  for (; !moved.empty(); moved.pop_back()) {
    rest = input;
    moved_bytes = kRepackOverheadBytes;
    for (const TensorId id : moved) {
      rest.uses[id.value] = {};
      moved_bytes += repacked_bytes[id.value];
    }
    if (moved_bytes > input.weight_budget) continue;
    rest.weight_budget = input.weight_budget - moved_bytes;
    rest.elsewhere_bytes = moved_bytes;
    const uint64_t staging_bytes = widened_bytes(index.tensor(moved.back()).bytes);
    if (std::max(staging_bytes, minimum_weight_budget(index, rest)) <= rest.weight_budget) break;
  }
  if (moved.empty()) return pinned;

  Result<Layout> layout = place(index, rest);
  if (!layout.ok()) return layout;
  for (const TensorId id : moved) layout->homes[id.value] = {.home = Home::repacked};
  layout->repacked_bytes = moved_bytes;
  return layout;
}

}  // namespace hypura
