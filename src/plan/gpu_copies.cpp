#include "plan/gpu_copies.h"

#include <set>
#include <utility>

#include "plan/cost_model.h"
#include "plan/rates.h"

namespace hypura {
namespace {

constexpr double kHeatMax = 3;
constexpr int kHalvings = 20;
// Of a layer of Qwen3-30B-A3B's shape beside what is copied and multiplied: 96 us with copies, 93
// us with llama.cpp's split (docs/experiments.md, "When copies pay").
constexpr double kLayerSeconds = 100e-6;

}  // namespace

CopyRates copy_rates(const MachineProfile& machine, int ggml_type, int threads) {
  const KernelRates cpu =
      kernel_rates(machine.compute, type_name(ggml_type), threads, machine.memory.read_gbps);
  return {.upload_gbps = main_gpu(machine).upload_gbps,
          .cpu_gbps = cpu.expert,
          .layer_seconds = kLayerSeconds};
}

double token_copy_bytes(const ModelIndex& index, const GpuShare::Experts& experts, double heat) {
  const uint32_t used = static_cast<uint32_t>(index.info().expert_used_count);
  double bytes = 0;
  for (uint32_t i = 0; i < experts.slots.size(); ++i) {
    if (experts.slots[i] == 0) continue;
    const TensorInfo& tensor = index.tensor(TensorId{i});
    bytes += static_cast<double>(used * tensor.expert_bytes()) *
             (1 - expected_hits(experts.slots[i], 1, tensor.expert_count, used, heat));
  }
  return bytes;
}

double batch_copy_bytes(const ModelIndex& index, const GpuShare::Experts& experts) {
  double bytes = 0;
  for (uint32_t i = 0; i < experts.slots.size(); ++i) {
    if (experts.slots[i] == 0) continue;
    const TensorInfo& tensor = index.tensor(TensorId{i});
    bytes += static_cast<double>((tensor.expert_count - experts.slots[i]) * tensor.expert_bytes());
  }
  return bytes;
}

bool copies_pay(const ModelIndex& index, const GpuShare& copying, const GpuShare& staying,
                const CopyRates& rates, double heat) {
  if (!copying.experts.has_value() || rates.upload_gbps <= 0) return false;
  if (rates.cpu_gbps <= 0) return true;
  const uint32_t used = static_cast<uint32_t>(index.info().expert_used_count);
  const double missed_bytes = token_copy_bytes(index, *copying.experts, heat);
  double below_bytes = 0;
  std::set<int> layers;
  std::set<int> layers_below;
  for (uint32_t i = 0; i < copying.experts->slots.size(); ++i) {
    if (copying.experts->slots[i] == 0) continue;
    const TensorInfo& tensor = index.tensor(TensorId{i});
    layers.insert(tensor.layer);
    if (staying.on_gpu.empty() || staying.on_gpu[i]) continue;
    below_bytes += static_cast<double>(used * tensor.expert_bytes());
    layers_below.insert(tensor.layer);
  }
  const auto seconds = [&](double bytes, double gbps, size_t waits) {
    return 1e-9 * bytes / gbps + static_cast<double>(waits) * rates.layer_seconds;
  };
  return seconds(missed_bytes, rates.upload_gbps, layers.size()) <
         seconds(below_bytes, rates.cpu_gbps, layers_below.size());
}

GpuShare better_share(const ModelIndex& index, GpuShare copying, GpuShareInput input,
                      const CopyRates& rates, double heat, uint64_t ram_bytes) {
  input.experts_used = 0;
  GpuShare staying = choose_gpu_share(index, input);
  const bool fits = index.info().weight_bytes - copying.weight_bytes <= ram_bytes;
  const bool pays = fits && copies_pay(index, copying, staying, rates, heat);
  return pays ? std::move(copying) : std::move(staying);
}

void place_for_copies(const ModelIndex& index, PlacementInput& input) {
  input.elastic = false;
  input.passes_experts = false;
  input.pins_experts = true;
  input.pins_experts = minimum_weight_budget(index, input) <= input.weight_budget;
}

double heat_of(double hits, uint32_t slots, uint32_t experts, uint32_t used) {
  double low = 0;
  double high = kHeatMax;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (expected_hits(slots, 1, experts, used, middle) < hits ? low : high) = middle;
  }
  return low;
}

}  // namespace hypura
