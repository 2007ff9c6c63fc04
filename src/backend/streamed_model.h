#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/graph_walk.h"
#include "backend/graph_demand.h"
#include "backend/weight.h"
#include "ggml-backend.h"
#include "model/model_index.h"
#include "model/tensor_use.h"
#include "residency/arena.h"
#include "residency/residency.h"

struct ggml_threadpool;

namespace hypura {

// One model whose weights are ours: from loading (weights get addresses without memory), over the
// census of how graphs use them, to computing with the residency attached.
// compute() may be called by several contexts and threads; it serialises them. All else belongs to
// the thread that opens the model. Must outlive the llama_model and all its contexts.
class StreamedModel {
 public:
  // `threads_max` bounds the threads of every context of this model. The index outlives the model.
  static Result<std::unique_ptr<StreamedModel>> create(const ModelIndex& index, int threads_max);
  ~StreamedModel();

  // Called by the mapped buffer for each weight llama.cpp loads. False: the index lacks it.
  bool place(ggml_tensor& tensor);
  // Notes how a graph uses the weights. Cheap and without effect once residency is attached.
  void take_census(ggml_cgraph* graph);

  const ModelIndex& index() const { return index_; }
  const std::vector<TensorUse>& uses() const { return uses_; }
  const GraphDemand& demand() const { return demand_; }

  // From here on the model can compute. REQUIRES: the layout has a home for every mapped weight,
  // and pinned tensors are loaded.
  void attach(std::unique_ptr<Residency> residency, const PrefetchOptions& prefetch);
  Residency* residency() { return residency_.get(); }

  // Who is told of every routing from here on; nullptr for nobody. REQUIRES: attached.
  void set_recorder(RoutingRecorder* recorder);

  ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute cpu_compute);
  void read_weight(const Weight& weight, uint64_t offset, std::byte* destination, uint64_t bytes);

  // Why the last compute() failed; ok() if it was not our doing. Clears it.
  Status take_error();
  WalkStats walk_stats() const { return walk_stats_; }
  PrefetchStats prefetch_stats() const;

 private:
  StreamedModel(const ModelIndex& index, int threads_max,
                std::vector<AddressReservation> reservations);

  const ModelIndex& index_;
  std::vector<AddressReservation> reservations_;  // by shard
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<ggml_tensor*> tensors_;  // of weights_
  std::vector<TensorUse> uses_;        // by tensor
  GraphDemand demand_;
  int threads_max_;
  ggml_threadpool* threadpool_ = nullptr;
  std::unique_ptr<Residency> residency_;

  std::mutex compute_mutex_;
  std::unique_ptr<GraphWalk> walk_;
  WalkStats walk_stats_;
  Status error_;
};

}  // namespace hypura
