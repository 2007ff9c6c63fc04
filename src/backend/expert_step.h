#pragma once

#include <cstdint>
#include <vector>

#include "backend/expert_fill.h"
#include "backend/expert_groups.h"
#include "backend/expert_prefetch.h"
#include "backend/expert_routing.h"
#include "backend/node_runner.h"
#include "backend/weight.h"
#include "cache/slot_table.h"
#include "residency/residency.h"

namespace hypura {

// Computes MUL_MAT_ID nodes whose experts live in a pool. The ids are computed by then, so the
// routed experts are known exactly; the projections that follow with the same ids are requested
// together. If all routed experts are there, the pool itself poses as the weight and the ids name
// slots. If not, or when there are more of them than slots, the node is computed in groups.
class ExpertStep {
 public:
  // The order outlives it.
  ExpertStep(Residency& residency, NodeRunner& runner, ExpertPrefetch& prefetch,
             const ExpertOrder& order);

  // Starts a graph.
  void begin(ggml_cgraph* graph);
  // Node `i` is patched and pending, or computed. REQUIRES: src[0] is the whole weight.
  Status visit(int i, TensorId tensor);
  // Starts and collects reads, also for experts of nodes to come.
  void read_ahead() { fill_.read_ahead(); }
  bool wants_reads() const { return fill_.wants_reads(); }
  // Ends the leases of the pending run.
  void release();
  // The graph is computed: ends all leases but those of guesses, which outlive it.
  void end();
  // Ends all leases, also those taken ahead of use.
  void release_all();

 private:
  Status read_routing(int i);
  void request_siblings(int i);
  void count_uses(const PooledTensor& pooled);
  bool all_ready(const PooledTensor& pooled) const;
  bool lease_all(const PooledTensor& pooled);
  void patch_pool(ggml_tensor* node, const PooledTensor& pooled);

  Residency& residency_;
  NodeRunner& runner_;
  ExpertPrefetch& prefetch_;
  ExpertFill fill_;
  ggml_cgraph* graph_ = nullptr;
  ExpertRouting routing_;
  int counted_until_ = -1;  // nodes up to here have their hits and misses counted
  ExpertGroups groups_;
  std::vector<Lease> leases_;  // of the pending run
  std::vector<Lease> ahead_;   // of projections that follow
  std::vector<int32_t> slot_of_;  // by expert, for the node at hand; -1 for others
};

}  // namespace hypura
