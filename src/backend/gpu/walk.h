#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/expert_fill.h"
#include "backend/gpu/cache.h"
#include "backend/gpu/host_experts.h"
#include "backend/gpu/page_lock.h"
#include "backend/gpu/queue.h"
#include "backend/gpu/staging.h"
#include "backend/gpu/unified_memory.h"
#include "backend/node_runner.h"
#include "backend/routing_tap.h"
#include "backend/stop_signals.h"
#include "backend/weight.h"
#include "base/status.h"
#include "residency/residency.h"

namespace hypura {

// What of a GPU's memory weights have that do not fit there: experts, and matrices of batches.
struct GpuExpertsOptions {
  ggml_backend_dev_t gpu = nullptr;
  bool unified = false;   // it computes in RAM, and needs no cache
  bool lock_ram = false;  // all of RAM is fixed, so that it may read there by itself
  std::vector<uint32_t> cache_slots;  // by tensor; 0 where none are cached
  uint64_t place_bytes = 0;           // of one place for a whole tensor
  uint32_t places = 0;
};

struct GpuWalkStats {
  uint64_t hits = 0;    // slices that were in the GPU's memory when they were needed
  uint64_t misses = 0;  // slices that were copied there
  // Experts of single tokens, whatever slices they have.
  uint64_t token_hits = 0;
  uint64_t token_misses = 0;
  uint64_t copied_bytes = 0;
  bool refused = false;  // the GPU lacked memory for a batch: the CPU computes them
};

// Computes graphs with the GPU's backend in runs of nodes, and stops in front of experts that are
// not in its memory. A single token computes with slots of the cache, into which what it misses is
// copied; its ids are replaced by theirs. More tokens compute with copies of whole tensors, in
// which those experts are present that they use: kernels choose their way by the number of experts,
// and get the one they would get if all lay there. Dense matrices below the GPU are copied whole.
// Either way the bits are those of the whole model in the GPU's memory. A GPU that shares RAM
// computes a token with the slots that experts are read into.
// Used under one lock; see StreamedModel::compute_on_gpu and GpuBatches.
class GpuWalk {
 public:
  // `fill` reads ahead of batches, if there is one. Errors: failed, where the GPU cannot allocate
  // what the options say. `residency` outlives it.
  static Result<std::unique_ptr<GpuWalk>> create(const ModelIndex& index, Residency& residency,
                                                 const GpuExpertsOptions& options,
                                                 std::optional<ExpertFill> fill);

  ggml_status run(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute gpu_compute);
  // Nothing is read ahead any more.
  void stop_reading_ahead();
  // Waits until nothing computes or copies any more: slots and what lies in RAM may change.
  // REQUIRES: run() was called.
  void settle();

  // Who is told of every routing; nullptr for nobody.
  void set_recorder(RoutingRecorder* recorder) { tap_.set(recorder); }
  void set_stop(const StopSignals& stop) { stop_ = stop; }

  // Why the last run() failed, if it was not the GPU's backend that did.
  const Status& error() const { return error_; }
  const GpuWalkStats& stats() const { return stats_; }

 private:
  static constexpr size_t kMembersMax = 8;
  static constexpr size_t kIdsBytes = 4096;  // for the slots of one
  // Of the queue: what all members but the last wait for, and the last one; what came from the
  // cache; then staging's.
  static constexpr size_t kFirstCopied = 0;
  static constexpr size_t kLastCopied = 1;
  static constexpr size_t kCacheCopied = 2;
  static constexpr size_t kStagingEvents = 3;

  // A tensor that computes with the routing at hand, and the slots that do it, here and there: in
  // the cache all members use the first one's.
  struct Member {
    TensorId id;
    const ggml_tensor* weight = nullptr;
    std::vector<int32_t> slots;
    ggml_tensor slot_ids{};
  };

  // An expert in the cache, and where.
  struct Kept {
    uint32_t expert = 0;
    SlotId slot;
  };

  GpuWalk(const ModelIndex& index, Residency& residency, const GpuExpertsOptions& options,
          std::optional<ExpertFill> fill);

  Status visit_all();
  Status visit(int i);
  Status visit_experts(int i, const Weight& weight);
  Status visit_dense(int i, TensorId tensor);
  Status visit_whole(int i, int position, const Weight& weight);
  Status begin_group(int i);
  void end_group();
  void find_members(int i);
  Member* member(TensorId id);
  bool may_use_slots();
  bool fills_layer();
  Status read_routing(int i);
  Status record_routing(int i);

  Status fill_slots();
  Status copy_to_slots(size_t first, size_t last);
  Status lease_slots(bool* starved);
  void send_slots(Member& member);
  Status use_slots(int i, TensorId tensor);

  void begin_staging();
  void read_ahead(int i);
  void choose_kept();
  Result<const ggml_tensor*> take_place(TensorId id, const ggml_tensor& weight);
  Result<const ggml_tensor*> stage(TensorId id, const ggml_tensor& weight);
  void upload(const ggml_tensor& place, uint64_t offset, std::span<const std::byte> data);
  void clear_behind(TensorId id, const ggml_tensor& place);
  Result<const ggml_tensor*> stage_dense(TensorId id, const ggml_tensor& weight);
  void use_place(int i, int position, const ggml_tensor& place);

  const ModelIndex& index_;
  Residency& residency_;
  std::optional<ExpertFill> fill_;
  HostExperts host_;
  PageLock lock_;
  GpuQueue queue_;
  std::unique_ptr<GpuCache> cache_;
  std::unique_ptr<GpuStaging> staging_;
  std::optional<UnifiedMemory> unified_;
  ggml_backend_buffer_ptr id_buffer_;
  NodeRunner runner_;
  RoutingTap tap_;
  StopSignals stop_;
  ggml_backend_t backend_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
  bool staged_before_ = false;   // in this graph
  bool settled_before_ = false;  // likewise

  std::vector<double> used_;     // by tensor: share of its experts that the last batch used
  double used_last_ = 0;         // of the tensor seen last: what is unknown is taken to be like it

  // The group at hand: nodes that compute with the same ids.
  const ggml_tensor* ids_ = nullptr;
  std::vector<Member> members_;
  bool by_slots_ = false;
  GpuCache::Layer* layer_ = nullptr;  // where the members are its tensors
  std::vector<std::byte> strided_;    // ids as they lie on the GPU
  std::vector<int32_t> routing_;      // ids as the router computed them, token by token
  std::vector<uint32_t> experts_;     // distinct, in order
  std::vector<Lease> pins_;           // on slots that compute
  std::vector<Kept> kept_;            // by a batch, not ready before its last member
  size_t staged_ = 0;                 // members
  ggml_tensor* slot_ids_ = nullptr;   // of the run at hand
  std::vector<Kept> missing_;         // of a token
  std::vector<ExpertSlice> wanted_;
  std::vector<std::vector<int32_t>> sent_;  // slots on their way to the GPU
  std::vector<DenseRing::PieceLease> pieces_;  // on their way there
  Status error_;
  GpuWalkStats stats_;
};

}  // namespace hypura
