#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/cpu_backend.h"
#include "backend/gpu/batches.h"
#include "backend/gpu/walk.h"
#include "backend/graph_demand.h"
#include "backend/graph_walk.h"
#include "backend/repack.h"
#include "backend/stop_signals.h"
#include "backend/weight.h"
#include "ggml-backend.h"
#include "model/layout.h"
#include "model/model_index.h"
#include "model/tensor_use.h"
#include "residency/arena.h"
#include "residency/residency.h"

namespace hypura {

struct StreamedModelOptions {
  // Threads of every context of the model, at most; 0 if only their graphs will tell.
  int threads = 0;
  // Size of ggml's CPU work buffer for a graph; nullptr where nobody budgets it.
  uint64_t (*work_bytes)(const ggml_cgraph* graph, int threads) = nullptr;
  // The census also asks which weights could be repacked.
  bool repack = false;
  // Where nobody attaches a residency beforehand: called once, in front of the first graph to be
  // computed or the first weight to be read, to attach() one. Its failure fails every graph.
  // `buffer_bytes`: the graph's own buffers, which computing is about to touch.
  std::function<Status(uint64_t buffer_bytes)> prepare;
  // Hears why a graph failed, once; may be unset where take_error() is asked.
  std::function<void(const Status& error)> report;
  StopSignals stop;  // of the graph that is computed
};

// What computing came to.
struct StreamedModelStats {
  ResidencyStats residency;
  CacheBytes cache;
  WalkStats walk;
  PrefetchStats prefetch;
  GpuWalkStats gpu;
  size_t reads_outstanding = 0;
};

// One model whose weights are ours: from loading (weights get addresses without memory), over the
// census of how graphs use them, to computing with the residency attached.
// take_census(), compute() and read_weight() may be called by several contexts and threads and are
// serialised. All else belongs to the thread that opens the model, attach() also to prepare. Must
// outlive the llama_model and all its contexts.
class StreamedModel {
 public:
  // The index outlives the model.
  static Result<std::unique_ptr<StreamedModel>> create(const ModelIndex& index,
                                                       StreamedModelOptions options);

  const std::string& path() const { return index_.shards().front().path; }

  // Called by the mapped buffer for each weight llama.cpp loads. False: the index lacks it.
  bool place(ggml_tensor& tensor);
  // Notes how a graph uses the weights, and what the CPU needs beside them where it computes. Cheap
  // and without effect once residency is attached.
  enum class Computes : uint8_t { cpu, gpu };
  void take_census(ggml_cgraph* graph, Computes where);

  // The llama_model that was loaded is gone, and another one of the same file will be. What the
  // census found stays. REQUIRES: nothing is attached.
  void forget_tensors();
  // Calls prepare if nothing is attached yet. Its errors.
  Status make_ready();

  const ModelIndex& index() const { return index_; }
  const std::vector<TensorUse>& uses() const { return uses_; }
  const GraphDemand& demand() const { return demand_; }

  // By tensor: what it takes repacked, and 0 if it cannot be, or nobody asked.
  std::vector<uint64_t> repacked_bytes() const;
  // Moves the tensors whose home is repacked out of our buffer, and reads them from the file.
  // Returns the bytes that were read. `progress` as in Residency::load_pinned. To be called once,
  // in front of attach().
  Result<uint64_t> repack(const Layout& layout, BlockDevice& device,
                          const std::function<bool(uint64_t, uint64_t)>& progress);

  // From here on the model can compute. REQUIRES: the layout has a home for every mapped weight,
  // and pinned tensors are loaded.
  void attach(std::unique_ptr<Residency> residency, const PrefetchOptions& prefetch);
  // Where a GPU computes with weights of ours: its own graphs, or batches of the CPU's.
  // REQUIRES: attached. Errors: those of GpuWalk and GpuBatches.
  Status attach_gpu(const GpuExpertsOptions& options);
  Status attach_batches(const GpuExpertsOptions& options);
  Residency* residency() { return residency_.get(); }
  // For the walk: the tensors of a weight that residency moved lie where it is pinned, or nowhere.
  void follow_home(TensorId id);

  // Who is told of every routing from here on; nullptr for nobody. REQUIRES: attached.
  void set_recorder(RoutingRecorder* recorder);
  // Who says how much memory expert slots have. Outlives the model. REQUIRES: attached.
  void set_cache_sizer(CacheSizer* sizer);

  ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute cpu_compute);
  ggml_status compute_on_gpu(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute gpu_compute);
  void read_weight(const Weight& weight, uint64_t offset, std::byte* destination, uint64_t bytes);

  // Lets a backend compute other models' graphs with our threads. Not while we compute.
  void lend_threads(ggml_backend_t backend);
  // Size of ggml's CPU work buffer for a graph with our threads; 0 where nobody budgets it.
  uint64_t work_bytes(const ggml_cgraph* graph) const;

  // Why the last compute() failed; ok() if it was not our doing. Clears it.
  Status take_error();
  // REQUIRES: no graph is computed.
  StreamedModelStats stats() const;
  // The same from any thread, a graph that is computed included: at most 0.1 s old.
  StreamedModelStats last_stats() const;
  // For the walk, which calls it often.
  void publish_stats_in_time();

 private:
  StreamedModel(const ModelIndex& index, StreamedModelOptions options,
                std::vector<AddressReservation> reservations);
  Status ensure_ready(const ggml_cgraph* graph);
  void fail(const Status& error);
  void publish_stats();

  const ModelIndex& index_;
  StreamedModelOptions options_;
  std::vector<AddressReservation> reservations_;  // by shard
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<ggml_tensor*> tensors_;  // of weights_
  std::vector<TensorUse> uses_;        // by tensor
  uint32_t uses_seen_ = 0;
  GraphDemand demand_;
  std::unique_ptr<Repack> repack_;  // nullptr: not asked for
  CpuThreads threads_;
  std::unique_ptr<Residency> residency_;

  std::mutex compute_mutex_;
  std::unique_ptr<GraphWalk> walk_;
  std::unique_ptr<GpuWalk> gpu_walk_;        // nullptr: of no GPU's graphs
  std::unique_ptr<GpuBatches> gpu_batches_;  // nullptr: all of the CPU's graphs are its own
  Status prepare_error_;
  Status error_;

  mutable std::mutex stats_mutex_;
  StreamedModelStats last_stats_;
  uint64_t publish_due_ns_ = 0;
};

}  // namespace hypura
