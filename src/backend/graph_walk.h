#pragma once

#include <cstdint>
#include <vector>

#include "backend/cache_sizer.h"
#include "backend/expert_order.h"
#include "backend/expert_prefetch.h"
#include "backend/expert_step.h"
#include "backend/gpu/batches.h"
#include "backend/node_runner.h"
#include "backend/routing_tap.h"
#include "backend/row_step.h"
#include "backend/stop_signals.h"
#include "base/status.h"
#include "ggml-backend.h"
#include "residency/residency.h"

namespace hypura {

class StreamedModel;

// Which predictor reads ahead of the router. `coactivation` is its table and outlives the walk.
enum class Prefetch : uint8_t { off, router, coactivation };
struct PrefetchOptions {
  Prefetch predictor = Prefetch::off;
  Coactivation* coactivation = nullptr;
};

struct WalkStats {
  uint64_t graphs = 0;
  uint64_t cpu_calls = 0;
  uint64_t total_ns = 0;    // inside compute(), all in all
  uint64_t compute_ns = 0;  // of these, in the CPU's and the GPU's backend
};

// Computes graphs with the CPU backend in maximal runs of nodes, and stops only in front of a node
// that needs a weight which is not resident: there it makes what the node needs resident, lets the
// node read it from its slot, and goes on. What a node needs follows from its op alone. A graph
// with weights of two models fails.
// Used under one lock; see StreamedModel::compute.
class GraphWalk {
 public:
  GraphWalk(StreamedModel& model, Residency& residency, const PrefetchOptions& prefetch);

  ggml_status run(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute cpu_compute);

  // Who is told of every routing; nullptr for nobody.
  void set_recorder(RoutingRecorder* recorder) { tap_.set(recorder); }

  // A GPU that computes batches of what is below it; nullptr: none. Outlives the walk.
  void set_batches(GpuBatches* batches) { batches_ = batches; }

  // Who says how much memory expert slots have; nullptr: always all.
  void set_cache_sizer(CacheSizer* sizer) { sizer_ = sizer; }

  void set_stop(const StopSignals& stop) { stop_ = stop; }

  // Why the last run() failed, if it was not the CPU backend that did.
  const Status& error() const { return error_; }
  const WalkStats& stats() const { return stats_; }
  const PrefetchStats& prefetch_stats() const { return prefetch_.stats(); }

  // For others that read ahead of batches. Of the walk, which they do not outlive.
  ExpertFill make_fill() { return {residency_, order_, prefetch_.guesses()}; }

 private:
  Status visit(int i);
  Status compute_batch(int i, int end);
  Status record_routing(int i);
  Status visit_matmul(int i, TensorId tensor);
  Status visit_single_piece(int i, TensorId tensor);
  Status visit_whole(int i, int position, const Weight& weight);
  Status keep_reading(int i);
  Status resize_caches(int i);

  StreamedModel* model_;
  Residency& residency_;
  NodeRunner runner_;
  ExpertOrder order_;
  ExpertPrefetch prefetch_;
  ExpertStep experts_;
  RowStep rows_;
  RoutingTap tap_;
  GpuBatches* batches_ = nullptr;
  uint64_t batches_ns_ = 0;  // computing, without what was waited for
  CacheSizer* sizer_ = nullptr;
  StopSignals stop_;
  std::vector<DenseRing::PieceLease> pieces_;  // in use by the pending run
  uint64_t unwatched_work_ = 0;  // since the drive was looked after
  ggml_cgraph* graph_ = nullptr;
  Status error_;
  WalkStats stats_;
};

}  // namespace hypura
