// What an engine gives to GPUs: decided before the model is loaded, from a load without memory.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/gpu/devices.h"
#include "backend/gpu/stand_in.h"
#include "base/units.h"
#include "engine/engine.h"
#include "engine/heat_file.h"
#include "plan/gpu_batches.h"
#include "plan/gpu_copies.h"
#include "plan/gpu_share.h"
#include "plan/gpu_split.h"

namespace hypura {
namespace {

// What could not be had is asked for again as much smaller, and not below.
constexpr double kSmaller = 0.8;
constexpr uint64_t kSmallest = 256 * kMiB;

}  // namespace

// The GPUs of this machine, as far as the budget allows.
Status Engine::choose_gpu() {
  if (options_.gpu_budget.kind == GpuBudget::Kind::none) return Status();
  const std::vector<GpuDevice> gpus = discrete_gpus();
  if (gpus.empty()) {
    if (const std::optional<GpuDevice> gpu = unified_gpu()) return share_with_unified_gpu(*gpu);
  }
  std::vector<std::string> names;
  gpu_free_bytes_.clear();
  for (const GpuDevice& gpu : gpus) {
    names.push_back(gpu.name);
    gpu_free_bytes_.push_back(gpu.free_bytes);
  }
  const Result<uint64_t> bytes = resolve(options_.gpu_budget, gpu_free_bytes_);
  if (!bytes.ok()) {
    Status status = bytes.status();
    if (gpus.empty()) status.because("this build knows none, or its driver is not there");
    return status;
  }
  if (gpus.empty()) return Status();
  plan_.gpu.names = fmt::format("{}", fmt::join(names, ", "));
  return share_with_gpu(gpus, *bytes, options_.gpu_budget.kind == GpuBudget::Kind::bytes);
}

// What a context takes with everything on `gpus`, where it takes the most there.
Result<ContextSize> Engine::measure_on(const std::vector<GpuDevice>& gpus) {
  common_params& params = options_.params;
  params.devices.clear();
  for (const GpuDevice& gpu : gpus) params.devices.push_back(gpu.device);
  params.devices.push_back(nullptr);
  params.n_gpu_layers = kAllLayers;
  if (Status status = load_model(true); !status.ok()) return status;
  Result<ContextSize> size = measure_context(model_.get(), context_params_);
  model_.reset();
  return size;
}

// Of each GPU; 0 where none of this machine would take part that has memory of its own.
Result<uint64_t> Engine::gpu_activations(EngineOptions options) {
  if (options.gpu_budget.kind == GpuBudget::Kind::none) return 0;
  const std::vector<GpuDevice> gpus = discrete_gpus();
  if (gpus.empty()) return 0;
  options.draft = {};
  Engine engine(std::move(options));
  if (Status status = engine.open_index(); !status.ok()) return status;
  const Result<ContextSize> size = engine.measure_on(gpus);
  if (!size.ok()) return size.status();
  return size->gpu_compute_most;
}

GpuShareInput Engine::share_input(const ContextSize& size, uint64_t budget_bytes) const {
  GpuShareInput input{.kv_bytes = size.gpu_kv_bytes,
                      .ram_bytes = std::max(budget_beside(size), page_cache_bytes(size))};
  // llama.cpp's projectors lie on the first one, and count as others' where its part is smaller.
  uint64_t projector_bytes = projector_.gpu_bytes;
  for (const uint64_t bytes : split_gpu_budget(budget_bytes, gpu_free_bytes_)) {
    const uint64_t part = saturating_subtract(bytes, size.gpu_compute_most);
    input.each.push_back(saturating_subtract(part, projector_bytes));
    input.bytes += input.each.back();
    projector_bytes = saturating_subtract(projector_bytes, part);
  }
  return input;
}

uint64_t Engine::budget_beside(const ContextSize& size) const {
  return saturating_subtract(plan_.budget_bytes, size.total_bytes() + plan_.draft_bytes);
}

bool Engine::may_take_batches() const {
  return has_one_gpu() && options_.mode != Mode::resident &&
         options_.gpu_takes_batches.value_or(true);
}

BatchInput Engine::batch_input(const ContextSize& size, const GpuShareInput& share) const {
  BatchInput input{.share = share,
                   .streams = streams(options_.mode),
                   .asked = options_.gpu_takes_batches.has_value(),
                   .micro_batch = micro_batch(),
                   .threads = context_params_.n_threads_batch,
                   .heat = plan_.gpu.heat};
  input.share.batch_compute_bytes = size.gpu_compute_bytes;
  return input;
}

// `size`: of a context that is on the GPU as a whole.
GpuShare Engine::choose_share(const ContextSize& size, uint64_t budget_bytes) {
  GpuShareInput input = share_input(size, budget_bytes);
  if (gpu_may_take_experts()) {
    input.experts_used = static_cast<uint32_t>(index_->info().expert_used_count);
  }
  GpuShare share = choose_split_share(*index_, input);
  plan_.gpu.heat = read_heat(options_.statistics_folder, *index_).value_or(kUsualHeat);
  if (share.experts.has_value() && !options_.gpu_takes_experts.has_value()) {
    const CopyRates rates = measure_copies(index_->tensor(share.experts->first()).type);
    share = better_share(*index_, std::move(share), input, rates, plan_.gpu.heat,
                         budget_beside(size));
  }
  if (!may_take_batches()) return share;
  return better_for_batches(*index_, std::move(share), batch_input(size, input),
                            options_.machine.value_or(MachineProfile()));
}

// A context computes no more tokens at a time than it holds, or than a batch has.
uint32_t Engine::micro_batch() const {
  return std::min({context_params_.n_ubatch, context_params_.n_batch, context_params_.n_ctx});
}

void Engine::set_micro_batch(uint32_t batch, uint32_t tokens) {
  context_params_.n_batch = batch;
  context_params_.n_ubatch = tokens;
  options_.params.n_batch = static_cast<int32_t>(batch);
  options_.params.n_ubatch = static_cast<int32_t>(tokens);
}

// `size` and `share` with the micro-batch that is best for batches or copies, if that is another
// than the usual one: where they are still taken with what it really needs.
ContextSize Engine::choose_micro_batch(const std::vector<GpuDevice>& gpus, const ContextSize& size,
                                       uint64_t budget_bytes, GpuShare& share) {
  const bool may = may_take_batches() && options_.ram_budget.kind != RamBudget::Kind::minimum;
  if (!may || share.on_gpu.empty()) return size;
  const bool copies = share.experts.has_value();
  const uint32_t batch = context_params_.n_batch;
  const uint32_t usual = micro_batch();
  const uint32_t context = context_params_.n_ctx / std::max(1u, context_params_.n_seq_max);
  BatchInput batches = batch_input(size, share_input(size, budget_bytes));
  if (copies) batches = with_copies(*index_, batches, budget_beside(size));
  const uint32_t best = better_micro_batch(*index_, batches, size.compute_bytes,
                                           std::min(options_.micro_batch_most, context),
                                           options_.machine.value_or(MachineProfile()));
  if (best == usual) return size;
  set_micro_batch(std::max(batch, best), best);
  const Result<ContextSize> larger = measure_on(gpus);
  GpuShare other;
  if (larger.ok()) {
    const uint64_t more = saturating_subtract(larger->gpu_compute_bytes, size.gpu_compute_bytes);
    const uint64_t kernels = copies ? kernel_bytes(more) : 0;
    other = choose_share(*larger, saturating_subtract(budget_bytes, kernels));
  }
  if (copies ? !other.experts.has_value() : !other.batches.has_value()) {
    set_micro_batch(batch, usual);
    return size;
  }
  share = std::move(other);
  return *larger;
}

// `asked`: less than a layer is an error.
Status Engine::share_with_gpu(const std::vector<GpuDevice>& gpus, uint64_t budget_bytes,
                              bool asked) {
  common_params& params = options_.params;
  GpuSummary& gpu = plan_.gpu;
  Result<ContextSize> usual = measure_on(gpus);
  if (!usual.ok()) return usual.status();
  GpuShare share = choose_share(*usual, budget_bytes);
  const ContextSize size = choose_micro_batch(gpus, *usual, budget_bytes, share);
  if (share.on_gpu.empty()) {
    params.n_gpu_layers = 0;
    params.devices = {nullptr};
    gpu = {.shrunk = gpu.shrunk};
    if (!asked) return Status();
    return holds_no_layer({.budget_bytes = budget_bytes,
                           .gpus = gpus.size(),
                           .compute_bytes = size.gpu_compute_most,
                           .kv_bytes = size.gpu_kv_bytes});
  }
  take_share(share);
  gpu.budget_bytes = budget_bytes;
  gpu.compute_bytes = size.gpu_compute_bytes;
  return Status();
}

void Engine::take_share(const GpuShare& share) {
  common_params& params = options_.params;
  params.n_gpu_layers = gpu_layers(*index_, share).count();
  for (size_t i = 0; i < share.parts.size(); ++i) {
    params.tensor_split[i] = static_cast<float>(share.parts[i].counted);
  }
  context_params_.op_offload = true;
  below_ = names_below(*index_, share);
  params.tensor_buft_overrides.clear();
  ggml_backend_buffer_type_t below_type = ggml_backend_cpu_buffer_type();
  if (share.experts.has_value()) {
    ggml_backend_dev_t& device = params.devices.front();
    below_type = gpu_streamed_buffer_type(device);
    gpu_ = std::exchange(device, gpu_stand_in(device));
  } else if (share.batches.has_value()) {
    gpu_ = params.devices.front();
  }
  if (!below_.empty()) params.tensor_buft_overrides.push_back({below_.c_str(), below_type});
  params.tensor_buft_overrides.push_back({nullptr, nullptr});
  plan_.gpu.layers = share.layers;
  plan_.gpu.weight_bytes = share.weight_bytes;
  plan_.gpu.on_gpu = share.on_gpu;
  plan_.gpu.experts = share.experts;
  plan_.gpu.batches = share.batches;
  plan_.gpu.kv_bytes = share.kv_bytes;
  plan_.gpu.parts = share.parts;
}

// What the GPU gets of the file, in the file's order. llama.cpp copies it there page by page, from
// a mapping that our load keeps it from reading ahead: 0.1 GB/s, where nobody has read it before.
std::vector<FilePart> Engine::parts_for_gpu() const {
  std::vector<TensorInfo> tensors;
  for (uint32_t i = 0; i < plan_.gpu.on_gpu.size(); ++i) {
    if (plan_.gpu.on_gpu[i]) tensors.push_back(index_->tensor(TensorId{i}));
  }
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.shard, a.offset) < std::tie(b.shard, b.offset);
  });
  std::vector<FilePart> parts;
  for (const TensorInfo& tensor : tensors) {
    parts.push_back({.file = index_->shards()[tensor.shard].path,
                     .offset = tensor.offset,
                     .bytes = tensor.bytes});
  }
  return parts;
}

// llama.cpp and its backends tell of memory that they cannot have only in words.
void Engine::note_refusal(const std::string& why) {
  gpu_refused_ = plan_.gpu.weight_bytes > 0 && why.find("alloc") != std::string::npos;
}

GpuBudget Engine::smaller_gpu_budget() const {
  if (plan_.gpu.unified) return {.kind = GpuBudget::Kind::none};
  const uint64_t bytes =
      static_cast<uint64_t>(kSmaller * static_cast<double>(plan_.gpu.budget_bytes));
  if (bytes < kSmallest) return {.kind = GpuBudget::Kind::none};
  return {.kind = GpuBudget::Kind::at_most, .bytes = bytes};
}

}  // namespace hypura
