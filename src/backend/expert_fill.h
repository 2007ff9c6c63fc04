#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ggml-impl.h"
#include "residency/residency.h"

namespace hypura {

// Fills empty slots of the pools while a batch of tokens computes, so that the drive works on
// through the last experts of a projection and through attention: the experts of the projections
// that follow, and those of the next layer when the batch will route to most of them. Nothing is
// evicted for it, so full pools see none of it. Used by the walk's thread.
class ExpertFill {
 public:
  // With `guess`, also experts whose routing is not known yet.
  ExpertFill(Residency& residency, bool guess) : residency_(residency), guess_(guess) {}

  void begin(const ggml_cgraph* graph);
  // The MUL_MAT_ID at `node`, first of its layer, uses `experts`.
  void on_routing(int node, std::span<const int32_t> experts);
  // Starts reads as far as the drive has room, and pumps. Called when all that is needed at once
  // was asked for.
  void read_ahead();
  bool wants_reads() const { return next_ < wanted_.size(); }

 private:
  struct Wanted {
    SlicePool* pool = nullptr;
    uint32_t source = 0;
    uint32_t expert = 0;
  };

  PooledTensor pooled_weight(const ggml_tensor* node) const;
  void clear();
  void guess_next_layer(int node);

  Residency& residency_;
  bool guess_;
  const ggml_cgraph* graph_ = nullptr;
  std::vector<Wanted> wanted_;  // known ones, then guesses
  size_t known_ = 0;            // how many
  size_t next_ = 0;             // the first that was not looked at
};

}  // namespace hypura
