#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/node_runner.h"
#include "cache/coactivation.h"
#include "model/model_index.h"
#include "residency/residency.h"

namespace hypura {

// What is known when a token's experts in one layer are.
struct RoutingStep {
  uint32_t layer = 0;
  std::span<const int32_t> experts;
  const ggml_tensor* input = nullptr;  // of the experts, usually of their router, too
  uint32_t next_layer = 0;    // the next one with experts
  uint32_t next_experts = 0;  // how many it has
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
std::unique_ptr<ExpertPredictor> make_router_predictor(const ModelIndex& index,
                                                       const Residency& residency,
                                                       NodeRunner& runner);

// What followed these experts before. The table outlives it.
std::unique_ptr<ExpertPredictor> make_coactivation_predictor(Coactivation& table);

}  // namespace hypura
