#include "plan/rates.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <tuple>

namespace hypura {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_type(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// ggml names types by the bits of a weight: "Q4_K", "IQ2_XS", "MXFP4", "BF16".
int bits_of(std::string_view type) {
  const size_t digit = type.find_first_of("0123456789");
  return digit == std::string_view::npos ? 0 : std::atoi(type.data() + digit);
}

double lid(double rate, double memory_gbps) {
  if (rate <= 0) return memory_gbps;
  return memory_gbps > 0 ? std::min(rate, memory_gbps) : rate;
}

// y at x, linear in log2(x) between the points, constant beyond them. REQUIRES: !points.empty().
double interpolate(const std::map<double, double>& points, double x) {
  const auto above = points.lower_bound(x);
  if (above == points.end()) return points.rbegin()->second;
  if (above == points.begin() || above->first == x) return above->second;
  const auto below = std::prev(above);
  const double part = std::log2(x / below->first) / std::log2(above->first / below->first);
  return below->second + part * (above->second - below->second);
}

}  // namespace

KernelRates kernel_rates(const std::vector<ComputeSample>& samples, std::string_view type,
                         int threads, double memory_gbps) {
  const int bits = bits_of(type);
  const ComputeSample* best = nullptr;
  const auto rank = [&](const ComputeSample& sample) {
    // Smaller is better: another type, bits apart, not the asked threads, fewer threads.
    return std::tuple(!same_type(sample.type, type), std::abs(bits_of(sample.type) - bits),
                      sample.threads != threads, -sample.threads);
  };
  for (const ComputeSample& sample : samples) {
    if (sample.token_gbps <= 0) continue;
    if (best == nullptr || rank(sample) < rank(*best)) best = &sample;
  }
  KernelRates rates;
  if (best != nullptr) {
    rates = {.token = best->token_gbps, .batch = best->batch_gbps, .expert = best->expert_gbps};
  }
  if (rates.expert <= 0) rates.expert = rates.token;
  rates.token = lid(rates.token, memory_gbps);
  rates.expert = lid(rates.expert, memory_gbps);
  return rates;
}

double nodes_seconds(const std::vector<NodeSample>& samples, int threads, double nodes) {
  const NodeSample* best = nullptr;
  for (const NodeSample& sample : samples) {
    if (sample.threads == threads) return nodes * sample.node_us * 1e-6;
    if (best == nullptr || sample.threads > best->threads) best = &sample;
  }
  return best == nullptr ? 0 : nodes * best->node_us * 1e-6;
}

double drive_gbps(const DriveProfile& drive, const ReadShape& shape) {
  std::map<double, std::map<double, double>> by_size;  // read size -> depth -> rate
  for (const DriveSample& sample : drive.samples) {
    if (sample.sequential != shape.sequential || sample.gbps <= 0 || sample.read_bytes == 0)
      continue;
    by_size[sample.read_bytes][std::max(1u, sample.depth)] = sample.gbps;
  }
  if (by_size.empty()) {
    const double asked = shape.sequential ? drive.sequential_gbps : drive.scattered_gbps;
    const double other = shape.sequential ? drive.scattered_gbps : drive.sequential_gbps;
    return asked > 0 ? asked : other;
  }
  std::map<double, double> at_depth;
  for (const auto& [size, depths] : by_size) {
    at_depth[size] = interpolate(depths, std::max(1.0, shape.depth));
  }
  return interpolate(at_depth, static_cast<double>(std::max<uint64_t>(1, shape.read_bytes)));
}

double drive_latency_seconds(const DriveProfile& drive) {
  double least_us = 0;
  for (const DriveSample& sample : drive.samples) {
    if (sample.latency_us <= 0) continue;
    least_us = least_us == 0 ? sample.latency_us : std::min(least_us, sample.latency_us);
  }
  return least_us * 1e-6;
}

const GpuProfile& main_gpu(const MachineProfile& machine) {
  static const GpuProfile none;
  const auto found = std::find_if(machine.gpus.begin(), machine.gpus.end(),
                                  [](const GpuProfile& gpu) { return !gpu.unified; });
  if (found != machine.gpus.end()) return *found;
  return machine.gpus.empty() ? none : machine.gpus.front();
}

}  // namespace hypura
