#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/expert_order.h"
#include "backend/expert_predictor.h"
#include "residency/residency.h"

namespace hypura {

struct PrefetchStats {
  uint64_t guesses = 0;  // slices read because a predictor named them
  uint64_t used = 0;     // of these, used by the layer they were read for
};

// Reads experts that the next MoE layer will probably want, while the drive would idle: from the
// last read of one layer to the ids of the next. A guess is read only when all that is waited for
// was started and the drive takes more; wrong ones reduce how many there are, so that they delay
// little. A token's layers may be a graph each or several, as below a GPU that computes in between.
// Without a predictor it does nothing. Used by the walk's thread.
class ExpertPrefetch {
 public:
  // The order outlives it.
  ExpertPrefetch(Residency& residency, const ExpertOrder& order,
                 std::unique_ptr<ExpertPredictor> predictor);

  // Whether to guess at all.
  bool guesses() const { return predictor_ != nullptr; }
  // The experts of `tensor` that `tokens` tokens use are known; `input`: what they compute with.
  // Only single tokens are predicted for, by the first tensor of a layer: more route to most
  // experts anyway. REQUIRES: nothing is pending in the runner.
  void on_routing(TensorId tensor, std::span<const int32_t> experts, const ggml_tensor* input,
                  int64_t tokens);
  // Starts guesses as far as the drive has room. Called before each wait and each computation.
  void read_ahead();
  // Drops what was proposed, and its leases. Nothing is expected any more.
  void forget();

  const PrefetchStats& stats() const { return stats_; }

 private:
  struct Guess {
    SlicePool* pool = nullptr;
    uint32_t source = 0;
    int32_t expert = 0;
  };

  void settle(uint32_t layer, std::span<const int32_t> experts);
  void propose(std::span<const TensorId> tensors);
  bool paying();

  Residency& residency_;
  const ExpertOrder& order_;
  std::unique_ptr<ExpertPredictor> predictor_;
  TensorId routed_;                     // of the last routing
  uint32_t layer_ = 0;                  // its own
  std::vector<int32_t> experts_;        // of it; empty if nothing is expected behind it
  uint32_t next_layer_ = 0;             // what is expected
  std::vector<int32_t> ranked_;         // for the next layer
  std::vector<Guess> proposed_;         // the likeliest first
  size_t issued_ = 0;                   // of proposed_
  std::vector<Lease> kept_;             // likely, and there or read: the policy may not know yet
  uint32_t guesses_max_;                // for one layer
  uint64_t recent_guesses_ = 0;
  uint64_t recent_used_ = 0;
  uint32_t paused_ = 0;                 // layers to go without guessing
  PrefetchStats stats_;
};

}  // namespace hypura
