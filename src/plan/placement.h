#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/layout.h"
#include "model/model_index.h"
#include "model/tensor_use.h"
#include "plan/look_ahead.h"

namespace hypura {

struct PlacementInput {
  std::vector<TensorUse> uses;  // by tensor
  uint64_t weight_budget = 0;   // bytes for everything Layout counts
  bool elastic = false;         // it may shrink later: the ring, which cannot, is smaller
  bool pins_experts = false;    // all experts stay in RAM for good
  bool packs_experts = false;   // slots lie as close as experts do in a tensor, for GPUs
  bool passes_experts = true;   // those of batches may pass through transit slots
  // Guesses name experts by their routers: those that lie elsewhere have a copy in RAM, where there
  // is room for guesses.
  bool copies_routers = false;
  uint64_t elsewhere_bytes = 0;  // of weights in RAM that are not placed here: widens the ring
  uint32_t experts_used = 0;    // routed per token; 0 if the model has none
  uint64_t rows_per_graph = 0;  // most embedding rows one graph looks up
  Speeds speeds;                // how far the ring reads ahead follows from them
  // What a plan may decide otherwise: dense weights pinned at most, experts' slots at most, and the
  // ring's slots (0: by `speeds`).
  uint64_t pin_bytes_max = UINT64_MAX;
  uint64_t pool_bytes_max = UINT64_MAX;  // experts' slots, if that is more than their least
  uint32_t ring_slots = 0;
};

// Gives every tensor a home within the budget, by one rule: what only serves whole is pinned; then
// dense weights are pinned, each byte of which every token uses, spread evenly over the model so
// that reads and compute alternate; the rest of the budget caches experts. Dense weights that are
// left stream through a ring.
// Pure. Error: does_not_fit, with the least weight budget that would do.
Result<Layout> place(const ModelIndex& index, const PlacementInput& input);

// The least weight_budget place() accepts: without copies of routers.
uint64_t minimum_weight_budget(const ModelIndex& index, const PlacementInput& input);

}  // namespace hypura
