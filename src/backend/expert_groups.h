#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/expert_fill.h"
#include "backend/expert_prefetch.h"
#include "backend/expert_routing.h"
#include "backend/node_runner.h"
#include "cache/slot_table.h"
#include "residency/residency.h"

namespace hypura {

// Scratch that computing `node` (a MUL_MAT_ID) in groups of experts may take, in bytes.
uint64_t expert_scratch_bytes(const ggml_tensor* node);

// Computes a MUL_MAT_ID whose experts are not all there in groups of them: those that are there
// while the others are read. Where a batch routes to more experts than the pool has slots, they
// take turns in these and in the transit slots. A group has all rows of an expert in one
// MUL_MAT_ID: some kernels choose their path by an expert's row count, so neither groups of tokens
// nor MUL_MAT would give the same bits.
class ExpertGroups {
 public:
  ExpertGroups(Residency& residency, NodeRunner& runner, const ExpertRouting& routing,
               ExpertPrefetch& prefetch, ExpertFill& fill)
      : residency_(residency),
        runner_(runner),
        routing_(routing),
        prefetch_(prefetch),
        fill_(fill) {}

  // Computes `node`, of the routing at hand, with the experts of `tensor`. Takes `leases`: those of
  // all routed experts, in their order, or none, as they are more than slots. REQUIRES: nothing is
  // pending in the runner.
  Status compute(ggml_tensor* node, TensorId tensor, std::vector<Lease>& leases);
  // Ends all leases.
  void release();

 private:
  // An expert that was not computed yet.
  struct Waiting {
    int32_t expert = 0;
    PooledTensor from;  // without a pool until it has a slot
    Lease lease;
  };

  // Experts that are computed together.
  struct Group {
    PooledTensor from;  // all of them
    std::vector<int32_t> experts;
    std::vector<Lease> leases;  // theirs
    void clear();
    void add(Waiting waiting);
  };

  void begin(TensorId tensor, std::vector<Lease>& leases);
  void find_slots(TensorId tensor);
  bool find_slot(Waiting& waiting, TensorId tensor) const;
  Status take_group(const ggml_tensor* node, TensorId tensor, bool transit);
  Status compute_group(ggml_tensor* node);

  Residency& residency_;
  NodeRunner& runner_;
  const ExpertRouting& routing_;
  ExpertPrefetch& prefetch_;
  ExpertFill& fill_;
  std::vector<Waiting> waiting_;
  size_t placed_ = 0;  // of waiting_: the first ones, which have a slot
  Group group_;
  std::vector<std::byte> gathered_;
  std::vector<float> results_;
};

}  // namespace hypura
