#include "plan/gpu_batches.h"

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "plan/rates.h"

namespace hypura {
namespace {

constexpr double kFaster = 0.75;
constexpr uint64_t kRoom = 4;  // one part of so many
// What experts and rings are read with.
constexpr ReadShape kReads{.read_bytes = kMiB, .depth = 32, .sequential = true};

bool is_on_gpu(const GpuShare& share, uint32_t id) {
  return !share.on_gpu.empty() && share.on_gpu[id];
}

// Bytes of weights times tokens over the rates of the CPU's kernels; 0 if one is not known.
double cpu_seconds(const ModelIndex& index, const GpuShare& share, const BatchInput& input,
                   const MachineProfile& machine) {
  const double used = static_cast<double>(index.info().expert_used_count);
  double seconds = 0;
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (tensor.layer < 0 || is_on_gpu(share, i)) continue;
    const double rate = kernel_rates(machine.compute, type_name(tensor.type), input.threads,
                                     machine.memory.read_gbps)
                            .batch;
    if (rate <= 0) return 0;
    const double bytes = tensor.expert_count > 0
                             ? used * static_cast<double>(tensor.expert_bytes())
                             : static_cast<double>(tensor.bytes);
    seconds += 1e-9 * bytes * input.micro_batch / rate;
  }
  return seconds;
}

double below_bytes(const ModelIndex& index, const GpuShare& share) {
  return static_cast<double>(index.info().weight_bytes - share.weight_bytes);
}

}  // namespace

GpuShare better_for_batches(const ModelIndex& index, GpuShare staying, const BatchInput& input,
                            const MachineProfile& machine) {
  if (staying.on_gpu.empty() || staying.experts.has_value()) return staying;
  if (input.micro_batch < kGpuBatchTokens) return staying;
  const double ram_bytes = static_cast<double>(input.ram_bytes);
  if (below_bytes(index, staying) <= ram_bytes) return staying;
  GpuShareInput asked = input.share;
  asked.experts_used = 0;
  GpuShare taking = choose_gpu_share(index, asked);
  if (!taking.batches.has_value()) return staying;
  if (input.asked) return taking;
  if (taking.batches->bytes() > asked.bytes / kRoom) return staying;

  const double upload_gbps = machine.gpus.empty() ? 0 : machine.gpus.front().upload_gbps;
  const double read_gbps = drive_gbps(machine.drive, kReads);
  const double computing = cpu_seconds(index, staying, input, machine);
  if (upload_gbps <= 0 || read_gbps <= 0 || computing <= 0) return taking;
  const auto reading = [&](const GpuShare& share) {
    return 1e-9 * (below_bytes(index, share) - ram_bytes) / read_gbps;
  };
  const double passing = 1e-9 * below_bytes(index, taking) / upload_gbps;
  const double with = std::max(reading(taking), passing);
  const double without = std::max(reading(staying), computing);
  return with <= kFaster * without ? std::move(taking) : std::move(staying);
}

}  // namespace hypura
