// What an engine gives to GPUs: decided before the model is loaded, from a load without memory.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/gpu_devices.h"
#include "base/units.h"
#include "engine/engine.h"
#include "plan/gpu_share.h"

namespace hypura {
namespace {

// What CUDA and its libraries come to allocate beside llama.cpp's buffers, seen at 300-500 MiB.
constexpr uint64_t kRuntimeBytes = 512 * kMiB;
// llama.cpp's way to say: all layers, and the output.
constexpr int kAllLayers = 1 << 20;
// What could not be had is asked for again as much smaller, and not below.
constexpr double kSmaller = 0.8;
constexpr uint64_t kSmallest = 256 * kMiB;

uint64_t saturating_subtract(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

// The GPUs of this machine, as far as the budget allows. Unified memory is left to the CPU.
Status Engine::choose_gpu() {
  if (options_.gpu_budget.kind == GpuBudget::Kind::none) return Status();
  const bool asked = options_.gpu_budget.kind == GpuBudget::Kind::bytes && !plan_.gpu.shrunk;
  const std::vector<GpuDevice> gpus = discrete_gpus();
  if (gpus.empty()) {
    if (!asked) return Status();
    return Status(StatusCode::does_not_fit,
                  fmt::format("--gpu-budget {}: no GPU with memory of its own was found",
                              format_bytes(options_.gpu_budget.bytes)))
        .because("this build knows none, or its driver is not there")
        .suggest("--gpu-budget 0");
  }
  std::vector<std::string> names;
  uint64_t free_bytes = 0;
  options_.params.devices.clear();
  for (const GpuDevice& gpu : gpus) {
    names.push_back(gpu.name);
    free_bytes += saturating_subtract(gpu.free_bytes, kRuntimeBytes);
    options_.params.devices.push_back(gpu.device);
  }
  options_.params.devices.push_back(nullptr);
  if (asked && options_.gpu_budget.bytes > free_bytes) {
    return Status(StatusCode::does_not_fit,
                  fmt::format("--gpu-budget {}: the GPU has {} to give",
                              format_bytes(options_.gpu_budget.bytes), format_bytes(free_bytes)))
        .because(fmt::format("{} less {} for its driver and libraries",
                             format_bytes(free_bytes + kRuntimeBytes * gpus.size()),
                             format_bytes(kRuntimeBytes * gpus.size())))
        .suggest("--gpu-budget auto, or a smaller one");
  }
  plan_.gpu.names = fmt::format("{}", fmt::join(names, ", "));
  const bool limited = options_.gpu_budget.kind == GpuBudget::Kind::bytes;
  return share_with_gpu(limited ? std::min(options_.gpu_budget.bytes, free_bytes) : free_bytes,
                        asked);
}

// With everything on the GPU a context takes the most there. `asked`: less than a layer is an error.
Status Engine::share_with_gpu(uint64_t budget_bytes, bool asked) {
  common_params& params = options_.params;
  GpuSummary& gpu = plan_.gpu;
  params.n_gpu_layers = kAllLayers;
  if (Status status = load_model(true); !status.ok()) return status;
  const Result<ContextSize> size = measure_context(model_.get(), context_params_);
  model_.reset();
  if (!size.ok()) return size.status();
  const GpuShare share =
      choose_gpu_share(*index_, {.bytes = saturating_subtract(budget_bytes, size->gpu_compute_bytes),
                                 .kv_bytes = size->gpu_kv_bytes});
  if (share.on_gpu.empty()) {
    params.n_gpu_layers = 0;
    params.devices = {nullptr};
    gpu = {.shrunk = gpu.shrunk};
    if (!asked) return Status();
    return Status(StatusCode::does_not_fit,
                  fmt::format("--gpu-budget {} holds no layer of this model",
                              format_bytes(budget_bytes)))
        .because(fmt::format("activations take {}, KV {} over all layers",
                             format_bytes(size->gpu_compute_bytes),
                             format_bytes(size->gpu_kv_bytes)))
        .suggest("a larger one, 0, a smaller --ctx or a smaller -ub");
  }
  params.n_gpu_layers = static_cast<int>(share.layers) + 1;
  context_params_.op_offload = true;
  below_ = names_below(*index_, share);
  params.tensor_buft_overrides.clear();
  if (!below_.empty()) {
    params.tensor_buft_overrides.push_back({below_.c_str(), ggml_backend_cpu_buffer_type()});
  }
  params.tensor_buft_overrides.push_back({nullptr, nullptr});
  gpu.budget_bytes = budget_bytes;
  gpu.layers = share.layers;
  gpu.weight_bytes = share.weight_bytes;
  gpu.on_gpu = share.on_gpu;
  gpu.kv_bytes = share.kv_bytes;
  gpu.compute_bytes = size->gpu_compute_bytes;
  return Status();
}

// llama.cpp and its backends tell of memory that they cannot have only in words.
void Engine::note_refusal(const std::string& why) {
  gpu_refused_ = plan_.gpu.weight_bytes > 0 && why.find("alloc") != std::string::npos;
}

GpuBudget Engine::smaller_gpu_budget() const {
  const uint64_t bytes =
      static_cast<uint64_t>(kSmaller * static_cast<double>(plan_.gpu.budget_bytes));
  if (bytes < kSmallest) return {.kind = GpuBudget::Kind::none};
  return {.kind = GpuBudget::Kind::bytes, .bytes = bytes};
}

}  // namespace hypura
