#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/expert_order.h"
#include "ggml-impl.h"
#include "residency/residency.h"

namespace hypura {

// Reads ahead while a batch of tokens computes, so that the drive works on through the last experts
// of a projection and through attention: the experts of the projections that follow, and those of
// the next layer when the batch will route to most of them. They go to empty slots of their pools,
// or else to transit slots; nothing is evicted for them. Used by a walk's thread.
class ExpertFill {
 public:
  // With `guess`, also experts whose routing is not known yet. The order outlives it.
  ExpertFill(Residency& residency, const ExpertOrder& order, bool guess)
      : residency_(residency), order_(order), guess_(guess) {}

  // The MUL_MAT_ID at `node` of `graph`, first of its layer, uses `experts`.
  void on_routing(const ggml_cgraph* graph, int node, std::span<const int32_t> experts);
  // Starts reads as far as the drive has room, and pumps. Called when all that is needed at once
  // was asked for.
  void read_ahead();
  // Whoever computes `tensor` has leases on what was read for it.
  void hand_over(TensorId tensor);
  bool wants_reads() const { return next_ < wanted_.size(); }
  // Nothing is wanted any more, and nothing kept.
  void forget();

 private:
  struct Wanted {
    TensorId tensor;
    uint32_t expert = 0;
  };
  struct Kept {
    TensorId tensor;
    Lease lease;
  };

  void guess_next_layer(TensorId last, const ggml_tensor* ids);

  Residency& residency_;
  const ExpertOrder& order_;
  bool guess_;
  std::vector<Wanted> wanted_;  // known ones, then guesses
  size_t known_ = 0;            // how many
  size_t next_ = 0;             // the first that was not looked at
  std::vector<Kept> kept_;      // in transit
};

}  // namespace hypura
