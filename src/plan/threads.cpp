#include "plan/threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "plan/cost_model.h"
#include "plan/rates.h"

namespace hypura {
namespace {

constexpr double kPromptTokens = 512;
// Of rates whose spread the profile does not know, and the least that counts as a difference.
constexpr double kUnknownSpread = 0.2;
constexpr double kLeastGain = 0.05;

// Bytes that a token multiplies, by type; experts apart, for their kernels differ.
struct TypeBytes {
  double dense = 0;
  double experts = 0;
};

std::map<int, TypeBytes> bytes_by_type(const ModelIndex& index) {
  const std::vector<TensorUse> uses = assumed_uses(index);
  const ModelInfo& info = index.info();
  std::map<int, TypeBytes> types;
  for (uint32_t i = 0; i < uses.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    const double bytes = static_cast<double>(tensor.bytes);
    if (uses[i].experts) {
      const double used = std::min<double>(static_cast<double>(info.expert_used_count),
                                           tensor.expert_count);
      types[tensor.type].experts += bytes / tensor.expert_count * used;
    } else if (uses[i].matmul) {
      types[tensor.type].dense += bytes;
    }
  }
  return types;
}

// Counts of which the profile has rates.
std::set<int> measured_counts(const MachineProfile& machine) {
  std::set<int> counts;
  for (const ComputeSample& sample : machine.compute) {
    if (sample.threads > 0 && sample.token_gbps > 0) counts.insert(sample.threads);
  }
  return counts;
}

double spread_at(const MachineProfile& machine, int threads) {
  double spread = 0;
  for (const ComputeSample& sample : machine.compute) {
    if (sample.threads == threads) spread = std::max(spread, sample.spread);
  }
  return spread > 0 ? spread : kUnknownSpread;
}

// A node for each weight is the least that a graph has.
ThreadTime time_of(const ModelIndex& index, const MachineProfile& machine,
                   const std::map<int, TypeBytes>& types, int threads) {
  ThreadTime time{.threads = threads};
  for (const auto& [type, bytes] : types) {
    const KernelRates rates =
        kernel_rates(machine.compute, type_name(type), threads, machine.memory.read_gbps);
    if (rates.token <= 0 || rates.expert <= 0) return {.threads = threads};
    time.token_seconds += 1e-9 * (bytes.dense / rates.token + bytes.experts / rates.expert);
    if (rates.batch > 0) {
      time.prompt_seconds += 1e-9 * kPromptTokens * (bytes.dense + bytes.experts) / rates.batch;
    }
  }
  const double nodes =
      nodes_seconds(machine.nodes, threads, static_cast<double>(index.tensors().size()));
  time.token_seconds += nodes;
  if (time.prompt_seconds > 0) time.prompt_seconds += nodes;
  return time;
}

// Rates of a processor that others used, or that slowed down, say nothing about threads: of two
// that share a core with another program the one waits for the other.
bool doubtful(const MachineProfile& machine) {
  return std::any_of(machine.warnings.begin(), machine.warnings.end(), [](const auto& warning) {
    return warning.starts_with("busy:") || warning.starts_with("throttled:");
  });
}

// The count to take in place of `usual`, by what `seconds` says of each.
int choose(const MachineProfile& machine, const std::vector<ThreadTime>& times, int usual,
           double ThreadTime::*seconds) {
  const ThreadTime* best = nullptr;
  const ThreadTime* now = nullptr;
  for (const ThreadTime& time : times) {
    if (time.*seconds <= 0) continue;
    if (time.threads == usual) now = &time;
    if (best == nullptr || time.*seconds < best->*seconds) best = &time;
  }
  if (best == nullptr) return usual;
  if (now == nullptr) {
    const bool too_many = machine.cores > 0 && usual > machine.cores;
    return too_many ? best->threads : usual;
  }
  if (doubtful(machine)) return usual;
  const double doubt = std::max(
      {kLeastGain, spread_at(machine, usual), spread_at(machine, best->threads)});
  return now->*seconds > (1 + doubt) * (best->*seconds) ? best->threads : usual;
}

std::string reason(const MachineProfile& machine, const std::vector<ThreadTime>& times,
                   const ThreadCounts& usual, const ThreadCounts& chosen) {
  if (times.empty()) return "the usual number: this machine's kernels were not measured";
  if (machine.cores > 0 && usual.token > machine.cores) {
    return fmt::format("{} are usual, but only {} can run at once", usual.token, machine.cores);
  }
  if (doubtful(machine)) {
    return "the usual number: the machine was busy, or throttled, when measured";
  }
  if (chosen == usual) {
    return times.size() == 1 ? "the usual number: only one was measured"
                             : "the usual number: no other one is faster beyond what repeats";
  }
  return fmt::format("faster than the usual {} and {}, as measured", usual.token, usual.batch);
}

}  // namespace

ThreadChoice choose_threads(const ModelIndex& index, const MachineProfile& machine,
                            const ThreadCounts& usual) {
  ThreadChoice choice;
  const std::map<int, TypeBytes> types = bytes_by_type(index);
  if (!types.empty()) {
    for (const int threads : measured_counts(machine)) {
      choice.times.push_back(time_of(index, machine, types, threads));
    }
  }
  choice.counts = {
      .token = choose(machine, choice.times, usual.token, &ThreadTime::token_seconds),
      .batch = choose(machine, choice.times, usual.batch, &ThreadTime::prompt_seconds)};
  choice.why = reason(machine, choice.times, usual, choice.counts);
  return choice;
}

}  // namespace hypura
