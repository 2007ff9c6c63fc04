#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu_backend.h"
#include "backend/gpu/devices.h"
#include "backend/streamed_model.h"
#include "base/status.h"
#include "cache/coactivation.h"
#include "common.h"
#include "engine/context_size.h"
#include "engine/draft_model.h"
#include "engine/memory_watch.h"
#include "engine/projector.h"
#include "io/block_device.h"
#include "llama-cpp.h"
#include "machine/read_through.h"
#include "model/model_index.h"
#include "plan/budget.h"
#include "plan/gpu_batches.h"
#include "plan/gpu_copies.h"
#include "plan/gpu_share.h"
#include "plan/mode.h"
#include "plan/planner.h"
#include "plan/threads.h"
#include "trace/routing_recorder.h"

namespace hypura {

// How experts are read ahead of their router; automatic is what measured fastest.
enum class PrefetchMode : uint8_t { automatic, off, router, coactivation };
inline bool guesses_by_routers(PrefetchMode mode) {
  return mode == PrefetchMode::automatic || mode == PrefetchMode::router;
}

// Who proposes tokens ahead of the model, and how many for one pass.
struct DraftOptions {
  enum class Kind : uint8_t { none, lookup, model };
  Kind kind = Kind::none;
  std::string path;  // of the draft model
  int depth = 0;     // 0: chosen from what passes take
};

struct EngineOptions {
  std::string model_path;
  RamBudget ram_budget;
  GpuBudget gpu_budget;
  // Whether experts are copied to the GPU to compute there, as a plan says. Nothing: as measured.
  std::optional<bool> gpu_takes_experts;
  // Whether the GPU computes batches of what streams below it. Nothing: where that is faster.
  std::optional<bool> gpu_takes_batches;
  // Where one of these is so, the micro-batch may be chosen in place of that of `params`, up to so
  // many tokens. 0: it is asked for.
  uint32_t micro_batch_most = 0;
  Mode mode = Mode::automatic;  // mixed is a result, not a wish
  bool exact = false;           // resident without repacking: the bit reference
  bool fast_prompt = false;     // streamed: repacks weights that stay, for other bits
  PrefetchMode prefetch = PrefetchMode::automatic;
  DraftOptions draft;
  std::optional<PlanChoice> choice;  // of a plan made before; else what fits is placed by rule
  // This machine, where it was profiled, and which thread counts of `params` nobody asked for: they
  // are chosen by what was measured.
  std::optional<MachineProfile> machine;
  bool choose_threads = false;
  bool choose_threads_batch = false;
  std::string statistics_folder;  // where co-activation is kept between runs; empty: nowhere
  common_params params;         // llama.cpp's own; the engine overrides what streaming dictates
  std::function<bool(uint64_t done, uint64_t total)> progress;  // false cancels
  // Set from anywhere, also a signal handler, to end loading or computing early. Outlives the
  // engine; may be null.
  const std::atomic<bool>* stop = nullptr;
  // Who sizes the caches of a streamed model, in place of the machine's memory and whatever the
  // budget. Outlives the engine; may be null. For tests.
  CacheSizer* cache_sizer = nullptr;
  // Where weights are read from; the machine's best if null. For tests.
  std::function<std::unique_ptr<BlockDevice>()> make_device;
};

// What the GPUs take part with; nothing where their names are empty.
struct GpuSummary {
  std::string names;
  uint64_t budget_bytes = 0;
  uint32_t layers = 0;        // whose attention and KV are there
  uint64_t weight_bytes = 0;  // of the file's
  std::vector<bool> on_gpu;   // by tensor
  std::vector<GpuPart> parts;  // of several
  std::optional<GpuShare::Experts> experts;  // that are copied there to be computed with
  std::optional<GpuShare::Batches> batches;  // of what streams below, computed there
  double heat = 0;            // of the model's routing (see Workload), seen or usual
  uint64_t kv_bytes = 0;
  uint64_t compute_bytes = 0;
  bool shrunk = false;  // it could not be had whole
  bool unified = false;  // it computes in RAM, and all of this is there
  bool copies_experts() const { return experts.has_value() && !unified; }
  // For weights, beside RAM: those that stay there, and slots.
  uint64_t own_weight_bytes() const {
    if (unified) return 0;
    return weight_bytes + (experts.has_value() ? experts->cache_bytes : 0);
  }
  // Of RAM, beside the weights that the engine places there, where experts stream.
  uint64_t ram_bytes() const {
    if (!unified) return 0;
    return kv_bytes + compute_bytes + (experts.has_value() ? weight_bytes + experts->bytes() : 0);
  }
};

// Where the memory goes, as decided before the first weight is read.
struct PlanSummary {
  Mode mode = Mode::resident;
  uint64_t budget_bytes = 0;   // 0: resident with nothing to hold to
  uint64_t fixed_bytes = 0;    // KV, activations, logits, sampling, work and scratch; the draft
  uint64_t draft_bytes = 0;    // of these, the draft model with all of its own
  ContextSize context;
  uint64_t weight_bytes = 0;   // the file's
  uint64_t pinned_bytes = 0;   // of these, always in RAM
  uint64_t router_copy_bytes = 0;  // of the GPU's weights, in RAM as well: routers that guess
  bool fast_prompt = false;    // those that can be are repacked, for other bits
  uint64_t repacked_bytes = 0;  // the RAM that they take
  uint64_t cached_bytes = 0;   // slots in RAM for experts, rows and the ring
  uint64_t streamed_bytes = 0;  // with their home on the drive
  uint32_t expert_slots = 0;   // over all projections
  uint32_t expert_slices = 0;
  uint64_t process_base_bytes = 0;  // code, vocabulary, metadata: outside of the budget
  ThreadChoice threads;
  GpuSummary gpu;
  // Those of the file's that the GPUs do not hold.
  uint64_t ram_weight_bytes() const {
    return gpu.unified ? weight_bytes : weight_bytes - gpu.weight_bytes;
  }
};

// What a model would ask of a machine, found without reading a weight.
struct MeasuredModel {
  ModelIndex index;
  ModelDemand demand;
  ThreadChoice threads;  // and why; without a profile nothing is known of times
  uint64_t budget_bytes = 0;     // of the options, on this machine; 0 for the least that works
  uint64_t available_bytes = 0;  // on this machine
};

struct EngineStats {
  ResidencyStats residency;
  CacheBytes cache;
  size_t reads_outstanding = 0;
  WalkStats walk;
  PrefetchStats prefetch;
  std::optional<GpuWalkStats> gpu;  // where experts are copied to a GPU
  bool direct_io = false;
  std::string device;  // block device's name, empty if resident
  // Where an automatic budget follows the machine's memory.
  std::optional<ElasticStats> elastic;
};

// One model, opened and ready: the composition of index, placement, residency, backend and
// llama.cpp's context. Used by one thread.
class Engine {
 public:
  // Errors: invalid_argument, does_not_fit, invalid_model, failed, interrupted.
  static Result<std::unique_ptr<Engine>> open(EngineOptions options);
  ~Engine();

  // Opens all of a model but llama.cpp's own model and context, for a program that loads these by
  // itself with load_by(): what computing takes is measured, every weight has its home, and none is
  // read. Errors: those of open(); invalid_argument with a draft.
  static Result<std::unique_ptr<Engine>> prepare(EngineOptions options);

  // Has `load` load the model on this thread, by llama.cpp's commons and with the parameters it is
  // given; its weights are this engine's, and are read in front of the first graph. `load` returns
  // the context, which it keeps, or nullptr; all of its contexts end before the engine. Once, after
  // prepare(). Errors: invalid_model, failed, interrupted.
  Status load_by(const std::function<llama_context*(common_params&)>& load);

  // What planning needs of the model: its graphs are built without memory, as open() does, and no
  // weight is read. Errors: those of open() but does_not_fit.
  static Result<MeasuredModel> measure_model(const EngineOptions& options);

  const ModelIndex& index() const { return *index_; }
  const PlanSummary& plan() const { return plan_; }
  // Where weights lie; null if all are in memory. And how graphs use them.
  const Layout* layout() const;
  std::vector<TensorUse> uses() const;
  const common_params& params() const { return options_.params; }
  llama_model* model() const { return model_.get(); }
  uint32_t context_tokens() const { return context_params_.n_ctx; }
  // Behind load_by(): the one that `load` made.
  llama_context* context() const { return served_ ? served_context_ : context_.get(); }
  const DraftOptions& draft_options() const { return options_.draft; }
  // The draft model's; null if there is none.
  llama_context* draft_context() const { return draft_ == nullptr ? nullptr : draft_->context(); }
  const llama_vocab* vocab() const { return llama_model_get_vocab(model()); }

  // Who is told of every routing from here on; nullptr for nobody. The recorder outlives the
  // engine, or is taken away before. REQUIRES: the plan's mode streams.
  void set_recorder(RoutingRecorder* recorder) { streamed_model_->set_recorder(recorder); }

  // llama_decode and llama_encode with our reasons for a failure.
  Status decode(const llama_batch& batch);
  Status encode(const llama_batch& batch);
  bool interrupted() const {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }

  EngineStats stats() const;
  // The same as the last graph left it, from any thread and while another one computes.
  EngineStats last_stats() const;
  // Why the last graph that failed did so; ok() if none did, or not for our reasons. From any
  // thread. REQUIRES: load_by() was called.
  Status last_failure() const;
  // Ends the graph that is computed now, as a failure; from any thread. Later ones are not affected
  // once `false` is said.
  void give_up(bool now) { gives_up_.store(now, std::memory_order_relaxed); }
  // Keeps what was learnt about the model for the next run. Nothing to do is no error.
  Status save_statistics() const;

 private:
  // llama.cpp's way to say: all layers, and the output.
  static constexpr int kAllLayers = 1 << 20;

  explicit Engine(EngineOptions options);

  // What is tried when the GPU does not have its budget after all.
  GpuBudget smaller_gpu_budget() const;
  Status open();
  Status open_index();
  Status choose_gpu();
  Status share_with_gpu(const std::vector<GpuDevice>& gpus, uint64_t budget_bytes, bool asked);
  Result<ContextSize> measure_on(const std::vector<GpuDevice>& gpus);
  static Result<uint64_t> gpu_activations(EngineOptions options);
  Status share_with_unified_gpu(const GpuDevice& gpu);
  GpuShare choose_share(const ContextSize& size, uint64_t budget_bytes);
  GpuShareInput share_input(const ContextSize& size, uint64_t budget_bytes) const;
  BatchInput batch_input(const ContextSize& size, const GpuShareInput& share) const;
  bool may_take_batches() const;
  ContextSize choose_micro_batch(const std::vector<GpuDevice>& gpus, const ContextSize& size,
                                 uint64_t budget_bytes, GpuShare& share);
  uint32_t micro_batch() const;
  void set_micro_batch(uint32_t batch, uint32_t tokens);
  void take_share(const GpuShare& share);
  // Of RAM, for weights.
  uint64_t budget_beside(const ContextSize& size) const;
  uint64_t page_cache_bytes(const ContextSize& size) const;
  bool gpu_may_take_experts() const;
  bool has_one_gpu() const { return options_.params.devices.size() == 2; }  // and the list's end
  CopyRates measure_copies(int ggml_type) const;
  Status save_heat() const;
  Status attach_gpu();
  void note_refusal(const std::string& why);
  std::vector<FilePart> parts_for_gpu() const;
  Status choose_path();
  Status open_plain();
  Status open_streamed();
  Status load_streamed();
  Status load_model(bool without_memory);
  Status load_adapters();
  Status measure();
  Status open_draft();
  Status load_draft();
  Status make_context();
  Status measure_streamed();
  Status place_weights();
  EngineStats stats_of(const StreamedModelStats& model) const;
  Status choose_layout();
  Status fill_layout();
  void choose_load_mode();
  Status prepare();
  void serve(StreamedModelOptions& model_options);
  uint64_t resolve_budget(uint64_t base_bytes) const;
  void choose_thread_counts();
  bool fits_page_cache() const;
  void share_threads();
  std::string draft_text() const;
  void make_coactivation();
  void watch_memory();
  uint64_t process_base(const ContextSize& size) const;
  Status finish(int code, const char* what);

  EngineOptions options_;
  llama_context_params context_params_;
  ProjectorSize projector_;
  std::vector<uint64_t> gpu_free_bytes_;  // in front of the model, by GPU
  PlanSummary plan_;
  uint64_t available_bytes_ = 0;  // what others leave, with what this process has already
  uint64_t repack_bytes_read_ = 0;
  bool streamed_ = false;
  bool served_ = false;  // another program loads the model
  std::atomic<bool> gives_up_ = false;
  mutable std::mutex failure_mutex_;
  Status failure_;  // the last one
  bool gpu_refused_ = false;  // llama.cpp could not load or compute with what the GPU was to hold
  ggml_backend_dev_t gpu_ = nullptr;  // that experts, or weights of batches, are copied to
  std::string below_;         // expression for tensors that stay below the GPU

  // In order of construction: later ones refer to earlier ones.
  std::unique_ptr<ModelIndex> index_;
  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<Layout> layout_;  // between choosing and filling it
  std::unique_ptr<Coactivation> coactivation_;
  std::unique_ptr<MemoryWatch> watch_;
  std::unique_ptr<StreamedModel> streamed_model_;
  llama_model_ptr model_;
  std::vector<llama_adapter_lora_ptr> adapters_;
  llama_context_ptr context_;
  llama_context* served_context_ = nullptr;
  std::unique_ptr<common_threadpools> threadpools_;
  std::unique_ptr<DraftModel> draft_;
  std::vector<CpuThreads> shared_threads_;  // of a resident model and its draft
};

}  // namespace hypura
