#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <utility>

#include "base/units.h"
#include "engine/coactivation_file.h"
#include "engine/draft_depth.h"
#include "engine/llama_log.h"
#include "engine/sampler.h"
#include "engine/speed_probe.h"
#include "machine/memory.h"
#include "machine/page_cache.h"
#include "plan/gpu_copies.h"
#include "plan/placement.h"
#include "plan/repacked_placement.h"

namespace hypura {
namespace {

// Of a GPU: Vulkan's way to say that memory is out, or the device is gone.
Status backend_threw(const std::exception& error) {
  return Status(StatusCode::failed, "the GPU could not go on")
      .because(error.what())
      .suggest("a smaller --gpu-budget, or 0");
}

// Room `auto` leaves for code, vocabulary and metadata until they are measured: the bar for them.
constexpr uint64_t kProcessBaseBytes = 128 * kMiB;
constexpr uint64_t kProcessBasePerMetadata = 3;

// Below this the ring is as small as it gets, and measuring would need more memory than it decides
// on.
constexpr uint64_t kMeasuredBudget = 4 * kSpeedProbeBytes;

// A longer context is used when asked for: its KV cache takes memory from the weights.
constexpr uint64_t kContextMax = 8192;

Prefetch predictor_of(PrefetchMode mode) {
  switch (mode) {
    case PrefetchMode::off: return Prefetch::off;
    case PrefetchMode::coactivation: return Prefetch::coactivation;
    case PrefetchMode::router:
    case PrefetchMode::automatic: return Prefetch::router;
  }
  return Prefetch::off;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
  for (bool shrunk = false;; shrunk = true) {
    std::unique_ptr<Engine> engine(new Engine(options));
    engine->plan_.gpu.shrunk = shrunk;
    Status status = engine->open();
    if (status.ok()) return engine;
    if (!engine->gpu_refused_) return status;
    options.gpu_budget = engine->smaller_gpu_budget();
  }
}

Engine::Engine(EngineOptions options) : options_(std::move(options)) {}

Engine::~Engine() {
  // Contexts end before the pools they compute with, and before their model.
  draft_.reset();
  context_.reset();
  threadpools_.reset();
}

Result<MeasuredModel> Engine::measure_model(const EngineOptions& options) {
  const Result<uint64_t> gpu_compute_bytes = gpu_activations(options);
  if (!gpu_compute_bytes.ok()) return gpu_compute_bytes.status();
  EngineOptions below = options;
  below.gpu_budget = {.kind = GpuBudget::Kind::none};
  Engine engine(std::move(below));
  if (Status status = engine.open_index(); !status.ok()) return status;
  engine.streamed_ = true;
  if (Status status = engine.load_streamed(); !status.ok()) return status;
  if (Status status = engine.measure_streamed(); !status.ok()) return status;
  const PlanSummary& plan = engine.plan_;
  MeasuredModel measured{.index = *engine.index_,
                         .demand = {.uses = engine.streamed_model_->uses(),
                                    .fixed_bytes = plan.fixed_bytes,
                                    .kv_bytes = plan.context.kv_bytes,
                                    .compute_bytes = plan.context.compute_bytes,
                                    .gpu_compute_bytes = *gpu_compute_bytes,
                                    .draft_bytes = plan.draft_bytes,
                                    .process_base_bytes = plan.process_base_bytes,
                                    .rows_per_graph =
                                        engine.streamed_model_->demand().rows_per_graph,
                                    .context = engine.context_params_.n_ctx,
                                    .micro_batch = engine.micro_batch(),
                                    .threads = engine.context_params_.n_threads,
                                    .threads_batch = engine.context_params_.n_threads_batch,
                                    .graph_nodes = plan.context.graph_nodes},
                         .threads = plan.threads,
                         .budget_bytes = plan.budget_bytes,
                         .available_bytes = engine.available_bytes_};
  if (engine.options_.fast_prompt) {
    measured.demand.repacked_bytes = engine.streamed_model_->repacked_bytes();
  }
  return measured;
}

Status Engine::open() {
  if (Status status = open_index(); !status.ok()) return status;
  if (Status status = choose_gpu(); !status.ok()) return status;
  if (Status status = choose_path(); !status.ok()) return status;
  if (Status status = streamed_ ? open_streamed() : open_plain(); !status.ok()) return status;
  return make_context();
}

// The model's index, and what its options come to.
Status Engine::open_index() {
  Result<ModelIndex> index = ModelIndex::open(options_.model_path);
  if (!index.ok()) return index.status();
  index_ = std::make_unique<ModelIndex>(*std::move(index));
  plan_.weight_bytes = index_->info().weight_bytes;
  // The process base, which is taken from this, has what is in memory already.
  available_bytes_ = available_bytes() + anonymous_bytes();

  common_params& params = options_.params;
  params.model.path = index_->shards().front().path;
  params.fit_params = false;
  params.warmup = false;
  params.n_gpu_layers = 0;
  params.devices = {nullptr};  // none, in llama.cpp's way
  if (params.n_outputs_max <= 0) params.n_outputs_max = params.n_parallel;
  if (options_.draft.kind != DraftOptions::Kind::none) {
    // Every drafted token is sampled behind.
    const int depth = options_.draft.depth > 0 ? options_.draft.depth : kDraftDepthMax;
    params.n_outputs_max = params.n_outputs_max_per_seq = 1 + depth;
  }
  if (params.n_ctx == 0) {
    const uint64_t trained = index_->info().context_length;
    const uint64_t context = trained == 0 ? kContextMax : std::min(trained, kContextMax);
    params.n_ctx = static_cast<int32_t>(context);
  }
  for (const int threads : {params.cpuparams.n_threads, params.cpuparams_batch.n_threads}) {
    if (threads <= GGML_MAX_N_THREADS) continue;
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} threads: at most {}", threads, GGML_MAX_N_THREADS))
        .suggest("as many as there are cores, which is the default");
  }
  choose_thread_counts();
  context_params_ = common_context_params_to_llama(params);
  context_params_.op_offload = false;
  plan_.budget_bytes =
      resolve_budget(kProcessBaseBytes + kProcessBasePerMetadata * index_->info().metadata_bytes);

  return open_draft();
}

void Engine::choose_thread_counts() {
  int& token = options_.params.cpuparams.n_threads;
  int& batch = options_.params.cpuparams_batch.n_threads;
  plan_.threads = choose_threads(*index_, options_.machine.value_or(MachineProfile()),
                                 {.token = token, .batch = batch});
  ThreadCounts& chosen = plan_.threads.counts;
  if (!options_.choose_threads) chosen.token = token;
  if (!options_.choose_threads_batch) chosen.batch = batch;
  if (!options_.choose_threads && !options_.choose_threads_batch) {
    plan_.threads.why = "as asked for";
  }
  token = chosen.token;
  batch = chosen.batch;
}

// `base_bytes`: the process base that `auto` leaves room for.
uint64_t Engine::resolve_budget(uint64_t base_bytes) const {
  const uint64_t automatic = saturating_subtract(
      static_cast<uint64_t>(kAutoShare * static_cast<double>(available_bytes_)), base_bytes);
  // The least is known once the weights are placed.
  return resolve(options_.ram_budget,
                 {.weights = plan_.weight_bytes, .automatic = automatic, .minimum = 0});
}

std::string Engine::draft_text() const {
  if (draft_ == nullptr) return std::string();
  return fmt::format(" + {} draft model", format_bytes(plan_.draft_bytes));
}

// What the process takes beside the budget: its own code, and vocabulary, metadata and graphs.
uint64_t Engine::process_base(const ContextSize& size) const {
  std::vector<std::string> shards;
  for (const Shard& shard : index_->shards()) {
    std::error_code ignored;
    shards.push_back(std::filesystem::canonical(shard.path, ignored).string());
  }
  const uint64_t draft = draft_ == nullptr ? 0 : draft_->base_bytes();
  return program_bytes(shards) + size.anonymous_bytes + draft;
}

// Plain llama.cpp whenever everything fits, or when asked for; streaming otherwise.
Status Engine::choose_path() {
  const bool has_experts = index_->info().expert_count > 0;
  if (options_.mode == Mode::experts && !has_experts) {
    return Status(StatusCode::invalid_argument, "--mode experts: this model has no experts")
        .suggest("--mode dense, or auto");
  }
  if (options_.mode == Mode::dense && has_experts) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("--mode dense: this model routes to {} experts",
                              index_->info().expert_count))
        .suggest("--mode experts, or auto");
  }
  if (!has_experts && (options_.prefetch == PrefetchMode::router ||
                       options_.prefetch == PrefetchMode::coactivation)) {
    return Status(StatusCode::invalid_argument, "--prefetch: this model has no experts")
        .suggest("--prefetch auto, or off");
  }
  if (plan_.gpu.experts.has_value()) {
    streamed_ = true;
    return Status();
  }
  const bool asked = options_.mode == Mode::experts || options_.mode == Mode::dense;
  const bool least = options_.ram_budget.kind == RamBudget::Kind::minimum;
  if (options_.mode == Mode::resident && (least || !options_.ram_budget.is_explicit())) {
    plan_.budget_bytes = 0;
    return Status();
  }
  streamed_ = asked || least || plan_.ram_weight_bytes() + plan_.draft_bytes > plan_.budget_bytes;
  const bool may_map = options_.mode == Mode::automatic && !options_.ram_budget.is_explicit();
  if (!streamed_ || (may_map && fits_page_cache())) {
    // What a context takes is known exactly only from the model: loaded without memory.
    if (Status status = load_model(true); !status.ok()) return status;
    if (Status status = measure(); !status.ok()) return status;
    plan_.process_base_bytes = process_base(plan_.context);
    plan_.budget_bytes = resolve_budget(plan_.process_base_bytes);
    model_.reset();
    streamed_ = plan_.ram_weight_bytes() + plan_.fixed_bytes > plan_.budget_bytes;
    if (streamed_ && may_map && fits_page_cache()) {
      streamed_ = false;
      plan_.mode = Mode::mapped;
    }
  }
  if (streamed_ && options_.mode == Mode::resident) {
    const std::string beside =
        plan_.fixed_bytes == 0
            ? std::string(" alone")
            : fmt::format(" and {} for KV and activations{}",
                          format_bytes(plan_.fixed_bytes - plan_.draft_bytes), draft_text());
    return Status(StatusCode::does_not_fit,
                  fmt::format("plan does not fit: {} of weights{}, the budget is {}",
                              format_bytes(plan_.ram_weight_bytes()), beside,
                              format_bytes(plan_.budget_bytes)))
        .because("--mode resident keeps everything in RAM")
        .suggest("--mode auto, which streams what does not fit");
  }
  return Status();
}

// Whether the system can keep the weights in its page cache, beside all that is known to be needed
// for decoding: as pages that it may drop when others want memory, they need not leave a share to
// them as a budget does. Streaming then only adds reads (5.5 against 9.4 tok/s,
// docs/experiments.md).
bool Engine::fits_page_cache() const {
  if (lies_in_memory(index_->shards().front().path)) return true;
  const uint64_t decoding_bytes =
      saturating_subtract(plan_.fixed_bytes, plan_.context.compute_bytes);
  return plan_.ram_weight_bytes() + decoding_bytes + plan_.process_base_bytes <= available_bytes_;
}

// What of weights the system's page cache may hold in place of a budget; see fits_page_cache().
uint64_t Engine::page_cache_bytes(const ContextSize& size) const {
  if (options_.mode != Mode::automatic || options_.ram_budget.is_explicit()) return 0;
  const uint64_t base_bytes =
      kProcessBaseBytes + kProcessBasePerMetadata * index_->info().metadata_bytes;
  return saturating_subtract(available_bytes_, size.total_bytes() - size.compute_bytes +
                                                   plan_.draft_bytes + base_bytes);
}

// What computing and sampling take beside the weights. The sampler exists meanwhile, so that the
// process base has it.
Status Engine::measure() {
  const Result<common_sampler_ptr> sampler = make_sampler(model_.get(), params().sampling);
  if (!sampler.ok()) return sampler.status();
  Result<ContextSize> size = measure_context(model_.get(), context_params_);
  if (!size.ok()) return size.status();
  plan_.context = *size;
  plan_.fixed_bytes =
      size->total_bytes() + sampling_bytes(vocab(), params().sampling) + plan_.draft_bytes +
      plan_.gpu.ram_bytes() + projector_.ram_bytes;
  return Status();
}

void Engine::make_coactivation() {
  const ModelInfo& info = index_->info();
  if (options_.prefetch != PrefetchMode::coactivation || info.expert_count == 0) return;
  const uint32_t layers = static_cast<uint32_t>(info.layer_count);
  const uint32_t experts = static_cast<uint32_t>(info.expert_count);
  coactivation_ = std::make_unique<Coactivation>(layers, experts);
  plan_.fixed_bytes += Coactivation::memory_bytes(layers, experts);
  if (options_.statistics_folder.empty()) return;
  CoactivationFile(options_.statistics_folder, *index_).read_into(*coactivation_);
}

Status Engine::save_statistics() const {
  if (options_.statistics_folder.empty()) return Status();
  if (Status status = save_heat(); !status.ok()) return status;
  if (coactivation_ == nullptr) return Status();
  return CoactivationFile(options_.statistics_folder, *index_).write(*coactivation_);
}

// What computing takes where weights stream, and the budget that follows.
Status Engine::measure_streamed() {
  if (Status status = measure(); !status.ok()) return status;
  const GraphDemand& demand = streamed_model_->demand();
  uint64_t adapter_bytes = 0;
  for (const common_adapter_lora_info& info : options_.params.lora_adapters) {
    std::error_code ignored;
    adapter_bytes += std::filesystem::file_size(info.path, ignored);
  }
  plan_.fixed_bytes += demand.work_bytes + demand.scratch_bytes + adapter_bytes;
  plan_.process_base_bytes = saturating_subtract(process_base(plan_.context), adapter_bytes);
  plan_.budget_bytes = resolve_budget(plan_.process_base_bytes);
  make_coactivation();
  return Status();
}

// Gives what computing leaves of the budget to weights, and reads the pinned ones.
Status Engine::place_weights() {
  if (Status status = measure_streamed(); !status.ok()) return status;
  if (Status status = choose_layout(); !status.ok()) return status;
  if (Status status = load_draft(); !status.ok()) return status;
  if (Status status = fill_layout(); !status.ok()) return status;
  watch_memory();
  return Status();
}

// REQUIRES: measure_streamed() was called.
Status Engine::choose_layout() {
  const GraphDemand& demand = streamed_model_->demand();
  PlacementInput input{
      .uses = streamed_model_->uses(),
      .elastic = !options_.ram_budget.is_explicit(),
      .packs_experts = plan_.gpu.unified,
      .copies_routers = guesses_by_routers(options_.prefetch) && !plan_.gpu.experts.has_value(),
      .experts_used = static_cast<uint32_t>(index_->info().expert_used_count),
      .rows_per_graph = demand.rows_per_graph,
  };
  if (options_.choice.has_value()) {
    input.pin_bytes_max = options_.choice->pin_bytes_max;
    input.pool_bytes_max = options_.choice->pool_bytes_max;
    input.ring_slots = options_.choice->ring_slots;
  }
  const uint64_t minimum = minimum_weight_budget(*index_, input);
  if (options_.ram_budget.kind == RamBudget::Kind::minimum) {
    plan_.budget_bytes = plan_.fixed_bytes + minimum;
  }
  if (plan_.budget_bytes < plan_.fixed_bytes + minimum) {
    return Status(StatusCode::does_not_fit,
                  fmt::format("plan does not fit: needs {} of RAM, budget is {}",
                              format_bytes(plan_.fixed_bytes + minimum),
                              format_bytes(plan_.budget_bytes)))
        .because(fmt::format("{} least for weights + {} KV (ctx {}) + {} activations and buffers{}",
                             format_bytes(minimum), format_bytes(plan_.context.kv_bytes),
                             context_params_.n_ctx,
                             format_bytes(plan_.fixed_bytes - plan_.context.kv_bytes -
                                          plan_.draft_bytes),
                             draft_text()))
        .suggest(fmt::format("--ram-budget min, a smaller --ctx (KV is {} per 1024 tokens) or a "
                             "smaller -ub (now {})",
                             format_bytes(plan_.context.kv_bytes * 1024 /
                                          std::max(1u, context_params_.n_ctx)),
                             micro_batch()));
  }
  input.weight_budget = plan_.budget_bytes - plan_.fixed_bytes;
  if (plan_.gpu.experts.has_value()) place_for_copies(*index_, input);
  Result<Layout> layout = place_repacked(*index_, input, streamed_model_->repacked_bytes());
  if (!layout.ok()) return layout.status();
  device_ = options_.make_device ? options_.make_device() : make_block_device({});
  const bool measures = input.ring_slots == 0 && input.weight_budget >= kMeasuredBudget;
  if (layout->ring_bytes > 0 && measures) {
    input.speeds = measure_speeds(*index_, *layout, *device_, context_params_.n_threads);
    layout = place_repacked(*index_, input, streamed_model_->repacked_bytes());
    if (!layout.ok()) return layout.status();
  }
  if (options_.choice.has_value()) {
    if (Status status = check_choice(*options_.choice, *layout); !status.ok()) return status;
  }

  plan_.mode = mode_of(*layout, plan_.gpu.experts.has_value());
  plan_.pinned_bytes = 0;
  for (uint32_t i = 0; i < layout->homes.size(); ++i) {
    const uint64_t bytes = index_->tensor(TensorId{i}).bytes;
    const Home home = layout->homes[i].home;
    const bool stays = home == Home::pinned || home == Home::repacked;
    const bool copied =
        i < plan_.gpu.on_gpu.size() && plan_.gpu.on_gpu[i] && !input.uses[i].mapped;
    if (stays) (copied ? plan_.router_copy_bytes : plan_.pinned_bytes) += bytes;
    if (!stays && home != Home::unused) plan_.streamed_bytes += bytes;
  }
  plan_.fast_prompt = options_.fast_prompt;
  plan_.repacked_bytes = layout->repacked_bytes;
  plan_.cached_bytes = layout->total_bytes() - layout->pinned_bytes;
  for (const PoolLayout& pool : layout->pools) {
    plan_.expert_slots += pool.slots;
    for (const TensorId id : pool.tensors) {
      plan_.expert_slices += index_->tensor(id).expert_count;
    }
  }

  layout_ = std::make_unique<Layout>(*std::move(layout));
  return Status();
}

// REQUIRES: choose_layout() was called, and the model is loaded.
Status Engine::fill_layout() {
  const Result<uint64_t> repack_read =
      streamed_model_->repack(*layout_, *device_, options_.progress);
  if (!repack_read.ok()) return repack_read.status();
  repack_bytes_read_ = *repack_read;
  Result<std::unique_ptr<Residency>> residency =
      Residency::create(*index_, std::move(*layout_), *device_);
  layout_.reset();
  if (!residency.ok()) return residency.status();
  if (Status status = (*residency)->load_pinned(options_.progress); !status.ok()) return status;
  streamed_model_->attach(*std::move(residency), {.predictor = predictor_of(options_.prefetch),
                                                  .coactivation = coactivation_.get()});
  return attach_gpu();
}

// An automatic budget goes on to be what the machine has. One that was asked for is a promise, in
// both directions. The KV cache was allocated for the whole context, so nothing else grows.
void Engine::watch_memory() {
  CacheSizer* sizer = options_.cache_sizer;
  const CacheBytes cache = streamed_model_->residency()->cache_bytes();
  // What a GPU reads by itself stays where it is.
  const bool fixed = options_.ram_budget.is_explicit() || plan_.gpu.experts.has_value();
  if (sizer == nullptr && !fixed && cache.least < cache.most) {
    const uint64_t promised_bytes = plan_.budget_bytes + plan_.process_base_bytes;
    watch_ = std::make_unique<MemoryWatch>(
        ElasticMemory{.promised_bytes = promised_bytes,
                      .reserve_bytes = saturating_subtract(available_bytes_, promised_bytes),
                      .cache_least = cache.least,
                      .cache_most = cache.most},
        cache);
    sizer = watch_.get();
  }
  streamed_model_->set_cache_sizer(sizer);
}

Status Engine::make_context() {
  const LlamaErrors errors;
  context_.reset(llama_init_from_model(model_.get(), context_params_));
  if (context_ == nullptr) {
    note_refusal(errors.text());
    return Status(StatusCode::failed, "llama.cpp cannot create a context").because(errors.text());
  }
  llama_set_abort_callback(
      context_.get(), [](void* engine) { return static_cast<Engine*>(engine)->interrupted(); },
      this);
  common_set_adapter_lora(context_.get(), options_.params.lora_adapters);
  if (!streamed_ && draft_ != nullptr) {
    share_threads();
  } else if (!streamed_) {
    threadpools_ = std::make_unique<common_threadpools>();
    threadpools_->init(context_.get(), options_.params);
  }
  return Status();
}

// Idle threads of a second pool would spin beside those that compute.
void Engine::share_threads() {
  shared_threads_.emplace_back(context_params_.n_threads);
  if (context_params_.n_threads_batch != context_params_.n_threads) {
    shared_threads_.emplace_back(context_params_.n_threads_batch);
  }
  for (llama_context* context : {context_.get(), draft_context()}) {
    llama_attach_threadpool(context, shared_threads_.front().pool(), shared_threads_.back().pool());
  }
}

Status Engine::decode(const llama_batch& batch) try {
  return finish(llama_decode(context_.get(), batch), "decode");
} catch (const std::exception& error) {
  return backend_threw(error);
}

Status Engine::encode(const llama_batch& batch) try {
  return finish(llama_encode(context_.get(), batch), "encode");
} catch (const std::exception& error) {
  return backend_threw(error);
}

Status Engine::finish(int code, const char* what) {
  if (code == 0) return Status();
  if (streamed_model_ != nullptr) {
    if (Status error = streamed_model_->take_error(); !error.ok()) return error;
  }
  if (interrupted()) return Status(StatusCode::interrupted, "interrupted");
  if (code == 1) {
    return Status(StatusCode::failed,
                  fmt::format("the context of {} tokens is full", context_params_.n_ctx))
        .suggest("a larger --ctx");
  }
  return Status(StatusCode::failed, fmt::format("llama.cpp could not {} (code {})", what, code));
}

const Layout* Engine::layout() const {
  return streamed_model_ == nullptr ? nullptr : &streamed_model_->residency()->layout();
}

std::vector<TensorUse> Engine::uses() const {
  if (streamed_model_ == nullptr) return assumed_uses(*index_);
  std::vector<TensorUse> uses = streamed_model_->uses();
  if (plan_.gpu.on_gpu.empty()) return uses;
  // Nobody saw how graphs use what lies on a GPU.
  const std::vector<TensorUse> assumed = assumed_uses(*index_);
  for (size_t i = 0; i < uses.size(); ++i) {
    if (plan_.gpu.on_gpu[i]) uses[i] = assumed[i];
  }
  return uses;
}

EngineStats Engine::stats() const {
  if (streamed_model_ == nullptr) return EngineStats();
  EngineStats stats = stats_of(streamed_model_->stats());
  if (watch_ != nullptr) stats.elastic = watch_->stats();
  return stats;
}

EngineStats Engine::stats_of(const StreamedModelStats& model) const {
  EngineStats stats;
  stats.residency = model.residency;
  stats.residency.bytes_read += repack_bytes_read_;
  stats.residency.pinned_bytes_read += repack_bytes_read_;
  stats.cache = model.cache;
  stats.reads_outstanding = model.reads_outstanding;
  stats.walk = model.walk;
  stats.prefetch = model.prefetch;
  if (plan_.gpu.experts.has_value() || plan_.gpu.batches.has_value()) stats.gpu = model.gpu;
  stats.direct_io = streamed_model_->residency()->reader().direct();
  stats.device = device_->name();
  return stats;
}

}  // namespace hypura
