// Whether a GPU computes with experts that it has no room for, and how that begins.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "backend/compute_speed.h"
#include "backend/gpu/devices.h"
#include "backend/gpu/probe.h"
#include "base/units.h"
#include "engine/engine.h"
#include "engine/heat_file.h"
#include "plan/gpu_copies.h"

namespace hypura {
namespace {

// A cache that starts empty says little about routing before.
constexpr uint64_t kTokensToTell = 32;

}  // namespace

bool Engine::gpu_may_take_experts() const {
  const bool mode = options_.mode == Mode::automatic || options_.mode == Mode::experts;
  return has_one_gpu() && mode && !options_.exact && options_.gpu_takes_experts.value_or(true);
}

// Of this machine: by its profile, or else now.
CopyRates Engine::measure_copies(int ggml_type) const {
  const int threads = context_params_.n_threads;
  CopyRates rates = copy_rates(options_.machine.value_or(MachineProfile()), ggml_type, threads);
  if (rates.cpu_gbps <= 0) rates.cpu_gbps = compute_speed(ggml_type, threads) * 1e-9;
  if (rates.upload_gbps <= 0) rates.upload_gbps = upload_gbps(options_.params.devices.front());
  return rates;
}

// Nothing where too few tokens were computed to tell.
Status Engine::save_heat() const {
  if (!plan_.gpu.copies_experts()) return Status();
  const GpuWalkStats stats = streamed_model_->stats().gpu;
  const uint64_t uses = stats.token_hits + stats.token_misses;
  const TensorId cached = plan_.gpu.experts->first();
  const uint32_t slots = plan_.gpu.experts->slots[cached.value];
  const TensorInfo& tensor = index_->tensor(cached);
  const uint32_t used = static_cast<uint32_t>(index_->info().expert_used_count);
  if (uses < kTokensToTell * index_->info().layer_count * used) return Status();
  const double hits = static_cast<double>(stats.token_hits) / static_cast<double>(uses);
  return write_heat(options_.statistics_folder, *index_,
                    heat_of(hits, slots, tensor.expert_count, used));
}

// A GPU that computes in RAM takes all that fits there, or the experts that stream and all that
// does not, where it can be shown their slots. What streams of other models is left to the CPU,
// which waits for the drive as well.
Status Engine::share_with_unified_gpu(const GpuDevice& gpu) {
  if (options_.gpu_budget.kind == GpuBudget::Kind::bytes) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("--gpu-budget {}: {} computes in RAM, which --ram-budget bounds",
                              format_bytes(options_.gpu_budget.bytes), gpu.name))
        .suggest("--gpu-budget auto, or 0 to leave it out");
  }
  common_params& params = options_.params;
  const Result<ContextSize> size = measure_on({gpu});
  if (!size.ok()) return size.status();
  const uint64_t fixed_bytes =
      size->total_bytes() + size->gpu_kv_bytes + size->gpu_compute_bytes + plan_.draft_bytes;
  const bool streams = options_.mode == Mode::experts || options_.mode == Mode::dense ||
                       options_.ram_budget.kind == RamBudget::Kind::minimum ||
                       plan_.weight_bytes + fixed_bytes > plan_.budget_bytes;
  GpuShare share;
  if (!streams || options_.mode == Mode::resident) {
    share = choose_gpu_share(*index_, {.bytes = UINT64_MAX, .kv_bytes = size->gpu_kv_bytes});
  } else if (!options_.exact && takes_our_memory(gpu.device)) {
    share = unified_gpu_share(*index_);
    share.kv_bytes = size->gpu_kv_bytes;
  }
  if (share.on_gpu.empty()) {
    params.n_gpu_layers = 0;
    params.devices = {nullptr};
    return Status();
  }
  plan_.gpu.names = gpu.name;
  plan_.gpu.unified = true;
  plan_.gpu.compute_bytes = size->gpu_compute_bytes;
  take_share(share);
  return Status();
}

// REQUIRES: the residency is attached.
Status Engine::attach_gpu() {
  const auto& experts = plan_.gpu.experts;
  const auto& batches = plan_.gpu.batches;
  Status status;
  if (experts.has_value()) {
    status = streamed_model_->attach_gpu({.gpu = gpu_,
                                          .unified = plan_.gpu.unified,
                                          .lock_ram = !plan_.gpu.unified,
                                          .cache_slots = experts->slots,
                                          .place_bytes = experts->place_bytes,
                                          .places = experts->places});
  } else if (batches.has_value()) {
    // What follows the machine's memory is given back, which locked pages cannot be.
    const std::vector<uint32_t> no_slots(index_->tensors().size());
    status = streamed_model_->attach_batches({.gpu = gpu_,
                                              .lock_ram = options_.ram_budget.is_explicit(),
                                              .cache_slots = no_slots,
                                              .place_bytes = batches->place_bytes,
                                              .places = batches->places});
    // The CPU computes them, too.
    if (!status.ok()) {
      plan_.gpu.batches.reset();
      plan_.gpu.shrunk = true;
      return Status();
    }
  }
  if (!status.ok()) gpu_refused_ = true;
  return status;
}

}  // namespace hypura
