#include "machine/rule_of_thumb.h"

#include <algorithm>
#include <utility>

#include "base/units.h"

namespace hypura {
namespace {

// Of 4-bit weights if they were measured, with the most threads, and no faster than memory.
double compute_gbps(const MachineProfile& machine, bool experts) {
  const ComputeSample* best = nullptr;
  const auto rank = [](const ComputeSample& sample) {
    return std::pair(sample.type == "q4_K", sample.threads);
  };
  for (const ComputeSample& sample : machine.compute) {
    if (best == nullptr || rank(sample) > rank(*best)) best = &sample;
  }
  if (best == nullptr) return machine.memory.read_gbps;
  const double rate = experts && best->expert_gbps > 0 ? best->expert_gbps : best->token_gbps;
  return machine.memory.read_gbps > 0 ? std::min(rate, machine.memory.read_gbps) : rate;
}

}  // namespace

uint64_t weight_capacity(uint64_t available_bytes) {
  const uint64_t usable = available_bytes - available_bytes / 10;
  return saturating_subtract(usable, kGiB);
}

ThumbSpeed rule_of_thumb(const MachineProfile& machine, uint64_t capacity_bytes,
                         const ModelShape& model) {
  ThumbSpeed speed;
  if (model.bytes == 0) return speed;
  const bool experts = model.active_share < 1;
  const double token_gb = static_cast<double>(model.bytes) * 1e-9 * model.active_share;
  speed.resident_share =
      std::min(1.0, static_cast<double>(capacity_bytes) / static_cast<double>(model.bytes));
  const double missing_gb = token_gb * (1 - speed.resident_share);
  const double compute = compute_gbps(machine, experts);
  const DriveProfile& drive = machine.drive;
  const double read = experts && drive.scattered_gbps > 0 ? drive.scattered_gbps
                                                          : drive.sequential_gbps;
  if (compute <= 0 || (missing_gb > 0 && read <= 0)) return speed;
  const double compute_seconds = token_gb / compute;
  const double read_seconds = missing_gb > 0 ? missing_gb / read : 0;
  speed.drive_bound = read_seconds > compute_seconds;
  speed.decode_tps = 1 / std::max(compute_seconds, read_seconds);
  return speed;
}

}  // namespace hypura
