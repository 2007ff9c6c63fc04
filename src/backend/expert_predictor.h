#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/node_runner.h"
#include "cache/coactivation.h"
#include "residency/residency.h"

namespace hypura {

// What is known when a token's experts in one layer are: where its graph goes on, and the experts.
struct RoutingStep {
  const ggml_cgraph* graph = nullptr;
  int node = 0;       // first MUL_MAT_ID of the layer at hand
  int next_node = 0;  // first MUL_MAT_ID of the next MoE layer
  uint32_t layer = 0;
  std::span<const int32_t> experts;
};

// Guesses which experts the next MoE layer will want. Guesses cost reads, never bits.
class ExpertPredictor {
 public:
  virtual ~ExpertPredictor() = default;
  // The likeliest first; empty if it cannot tell. REQUIRES: nothing is pending in the runner.
  virtual void predict(const RoutingStep& step, std::vector<int32_t>& ranked) = 0;
  // `next` followed the experts of `layer`.
  virtual void observe(uint32_t layer, std::span<const int32_t> experts,
                       std::span<const int32_t> next) = 0;
};

// The next layer's router, applied to what this layer's router saw: the residual stream changes
// little from layer to layer.
std::unique_ptr<ExpertPredictor> make_router_predictor(Residency& residency, NodeRunner& runner);

// What followed these experts before. The table outlives it.
std::unique_ptr<ExpertPredictor> make_coactivation_predictor(Coactivation& table);

}  // namespace hypura
