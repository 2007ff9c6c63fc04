#include "plan/cost_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <map>
#include <tuple>

#include "base/units.h"
#include "plan/gpu_batches.h"
#include "plan/rates.h"
#include "plan/token_walk.h"

namespace hypura {
namespace {

// How the ring reads: chunks of this size, so many in flight (docs/experiments.md, "Reads while
// pinned weights compute").
constexpr uint64_t kRingReadBytes = uint64_t{1} << 20;
constexpr double kRingDepth = 32;
// Of rates whose spread the profile does not know: measured ones repeat within a tenth on an idle
// machine, published ones come from other builds and other copies of the machine.
constexpr double kMeasuredSpread = 0.2;
constexpr double kPublishedSpread = 0.5;
constexpr const char* kMeasured = "measured";
// How many tokens a GPU multiplies a weight with while it reads it, where its profile knows no
// batches: arithmetic over memory of consumer GPUs is about that in half precision.
constexpr double kGpuBatch = 128;

// Rates of a case of the range: everything a little slower, or faster.
struct Pace {
  double compute = 1;
  double drive = 1;
};

bool matrix(const TensorInfo& tensor) { return tensor.ne[1] > 1; }

class Model {
 public:
  Model(const CostInput& input, const Pace& pace) : input_(input), pace_(pace) {
    drive_ = input.machine.drive;
    for (DriveSample& sample : drive_.samples) sample.gbps *= pace.drive;
    drive_.sequential_gbps *= pace.drive;
    drive_.scattered_gbps *= pace.drive;
  }

  // `read_bytes`: what one will read, as far as that is known.
  TokenCost token(double read_bytes = 0);
  PromptCost prompt();

 private:
  const TensorInfo& info(uint32_t id) const { return input_.index.tensor(TensorId{id}); }
  bool on_gpu(uint32_t id) const { return !input_.on_gpu.empty() && input_.on_gpu[id]; }
  uint32_t gpu_slots(uint32_t id) const {
    return input_.gpu_slots.empty() ? 0 : input_.gpu_slots[id];
  }
  // The prompt's micro-batches compute on the GPU, whatever lies below it.
  bool takes_batch() const {
    return input_.gpu_batches &&
           std::min(input_.work.prompt_tokens, input_.work.micro_batch) >= kGpuBatchTokens;
  }
  bool computes_on_gpu(uint32_t id) const { return on_gpu(id) || gpu_slots(id) > 0; }
  Home home(uint32_t id) const {
    if (input_.layout == nullptr || on_gpu(id)) return Home::pinned;
    return input_.layout->homes[id].home;
  }
  const KernelRates& rates(uint32_t id, bool batch = false);
  std::vector<uint32_t> order() const;
  double slot_hits(uint32_t id, uint64_t slots, uint64_t tensors) const;
  double hits(uint32_t id) const;
  double gpu_hits(uint32_t id) const { return slot_hits(id, gpu_slots(id), 1); }
  void add_dense(uint32_t id, WalkInput& walk, TokenCost& cost);
  void add_expert(uint32_t id, ExpertStage& stage, WalkStep& on_chip, TokenCost& cost);
  double upload_seconds(double bytes) const;
  double kv_seconds() const;
  double ring_rate() const {
    return 1e9 *
           drive_gbps(drive_,
                      {.read_bytes = kRingReadBytes, .depth = kRingDepth, .sequential = true});
  }
  double node_seconds(int threads) const {
    return nodes_seconds(input_.machine.nodes, threads, input_.work.graph_nodes) / pace_.compute;
  }
  int threads(bool batch) const {
    return batch && input_.work.threads_batch > 0 ? input_.work.threads_batch
                                                  : input_.work.threads;
  }
  double call_seconds() const { return input_.machine.graph_overhead_us * 1e-6 / pace_.compute; }

  const CostInput& input_;
  Pace pace_;
  DriveProfile drive_;
  std::map<std::tuple<int, bool, bool>, KernelRates> rates_;  // by type, on the GPU, of batches
  double hits_ = 0;
  double uses_ = 0;
  double gpu_hits_ = 0;
  double gpu_uses_ = 0;
};

const KernelRates& Model::rates(uint32_t id, bool batch) {
  const bool gpu = computes_on_gpu(id) || (batch && takes_batch());
  const auto [found, added] = rates_.try_emplace({info(id).type, gpu, batch});
  if (!added) return found->second;
  const MachineProfile& machine = input_.machine;
  KernelRates& rates = found->second;
  rates = gpu ? kernel_rates(main_gpu(machine).compute, type_name(info(id).type), 0,
                             main_gpu(machine).memory_gbps)
              : kernel_rates(machine.compute, type_name(info(id).type), threads(batch),
                             machine.memory.read_gbps);
  for (double* rate : {&rates.token, &rates.batch, &rates.expert}) *rate *= 1e9 * pace_.compute;
  return rates;
}

// Tensors in the order of use: layer by layer, its experts last, what is outside of layers at the
// end.
std::vector<uint32_t> Model::order() const {
  std::vector<std::tuple<int, bool, uint32_t, uint64_t, uint32_t>> ranks;
  ranks.reserve(input_.index.tensors().size());
  for (uint32_t id = 0; id < input_.index.tensors().size(); ++id) {
    const TensorInfo& tensor = info(id);
    ranks.emplace_back(tensor.layer < 0 ? INT_MAX : tensor.layer, input_.uses[id].experts,
                       tensor.shard, tensor.offset, id);
  }
  std::sort(ranks.begin(), ranks.end());
  std::vector<uint32_t> ids;
  ids.reserve(ranks.size());
  for (const auto& rank : ranks) ids.push_back(std::get<4>(rank));
  return ids;
}

// Of `slots` that `tensors` tensors like this one share.
double Model::slot_hits(uint32_t id, uint64_t slots, uint64_t tensors) const {
  const double full = expected_hits(slots, tensors, info(id).expert_count,
                                    input_.work.experts_used, input_.work.heat);
  return expected_cold_hits(full, info(id).expert_count, input_.work);
}

// In RAM or the GPU's memory: RAM counts only uses of what the GPU does not have, so that its slots
// hold other experts.
double Model::hits(uint32_t id) const {
  if (home(id) != Home::experts) return 1;
  const PoolLayout& pool = input_.layout->pools[input_.layout->homes[id].pool];
  const uint64_t tensors = pool.tensors.size();
  return slot_hits(id, pool.slots + tensors * gpu_slots(id), tensors);
}

double Model::upload_seconds(double bytes) const {
  const double rate = 1e9 * main_gpu(input_.machine).upload_gbps * pace_.compute;
  return rate > 0 ? bytes / rate : 0;
}

void Model::add_dense(uint32_t id, WalkInput& walk, TokenCost& cost) {
  const TensorInfo& tensor = info(id);
  const double bytes = static_cast<double>(tensor.bytes);
  const double rate = rates(id).token;
  const double seconds = rate > 0 ? bytes / rate : 0;
  (on_gpu(id) ? cost.gpu_seconds : cost.ram_seconds) += seconds;
  if (home(id) != Home::stream) {
    if (walk.steps.empty() || walk.steps.back().experts || walk.steps.back().ring_bytes > 0) {
      walk.steps.emplace_back();
    }
    walk.steps.back().compute_seconds += seconds;
    return;
  }
  const int64_t piece_rows = std::max<int64_t>(1, input_.layout->homes[id].piece_rows);
  const int64_t pieces = std::max<int64_t>(1, (tensor.ne[1] + piece_rows - 1) / piece_rows);
  for (int64_t k = 0; k < pieces; ++k) {
    walk.steps.push_back({.compute_seconds = seconds / static_cast<double>(pieces),
                          .ring_bytes = bytes / static_cast<double>(pieces)});
  }
}

// Experts on a GPU, or pinned, compute like dense weights, as many as are used. Those that are
// copied to a GPU are waited for before they compute.
void Model::add_expert(uint32_t id, ExpertStage& stage, WalkStep& on_chip, TokenCost& cost) {
  const TensorInfo& tensor = info(id);
  const uint32_t used = std::min(input_.work.experts_used, tensor.expert_count);
  const double slice = static_cast<double>(tensor.expert_bytes());
  const double rate = rates(id).expert;
  const double seconds = rate > 0 ? slice / rate : 0;
  (computes_on_gpu(id) ? cost.gpu_seconds : cost.ram_seconds) += used * seconds;
  if (gpu_slots(id) > 0) {
    const double missed = used * slice * (1 - gpu_hits(id));
    gpu_hits_ += gpu_hits(id) * used;
    gpu_uses_ += used;
    cost.upload_bytes += missed;
    cost.upload_seconds += upload_seconds(missed);
    on_chip.compute_seconds += upload_seconds(missed);
  }
  const double hit = hits(id);
  hits_ += hit * used;
  uses_ += used;
  if (home(id) != Home::experts) {
    on_chip.compute_seconds += used * seconds;
    return;
  }
  // One layer's projections have slots of their own; their mean share stands for all of them.
  stage.hit_share = (stage.hit_share * stage.slices + hit) / (stage.slices + 1);
  stage.slice_bytes = (stage.slice_bytes * stage.slices + slice) / (stage.slices + 1);
  stage.used = std::max(stage.used, used);
  ++stage.slices;
  stage.expert_bytes += slice;
  stage.expert_seconds += seconds;
}

// Attention reads the whole cache, once a token, at the speed of memory.
double Model::kv_seconds() const {
  const MachineProfile& machine = input_.machine;
  const bool gpu = !input_.on_gpu.empty() && main_gpu(machine).memory_gbps > 0;
  const double gbps = gpu ? main_gpu(machine).memory_gbps : machine.memory.read_gbps;
  if (gbps <= 0) return 0;
  return input_.work.kv_bytes_per_token * input_.work.kv_tokens / (gbps * 1e9 * pace_.compute);
}

TokenCost Model::token(double read_bytes) {
  TokenCost cost;
  cost.host_seconds = read_bytes / static_cast<double>(kRingReadBytes) *
                      input_.machine.drive.read_cpu_us * 1e-6 / pace_.compute;
  WalkInput walk;
  hits_ = uses_ = gpu_hits_ = gpu_uses_ = 0;
  bool looks_up = false;  // a row that is on the drive
  int layer = INT_MIN;
  size_t stage_at = 0;
  for (const uint32_t id : order()) {
    const TensorUse& use = input_.uses[id];
    const TensorInfo& tensor = info(id);
    if (!use.mapped && !on_gpu(id)) continue;
    if (use.experts && tensor.expert_count > 0) {
      if (layer != tensor.layer || walk.steps.empty()) {
        layer = tensor.layer;
        walk.steps.emplace_back();
        walk.steps.push_back({.experts = true});
        walk.steps.back().stage.hit_share = 1;
        stage_at = walk.steps.size() - 1;
      }
      add_expert(id, walk.steps[stage_at].stage, walk.steps[stage_at - 1], cost);
      continue;
    }
    if (use.rows && !use.matmul && !use.whole) {
      looks_up = looks_up || (home(id) == Home::rows);
      continue;
    }
    if (matrix(tensor) || use.whole) add_dense(id, walk, cost);
  }
  std::erase_if(walk.steps, [](const WalkStep& step) {
    return step.experts ? step.stage.slices == 0
                        : step.compute_seconds == 0 && step.ring_bytes == 0;
  });
  cost.kv_seconds = kv_seconds();
  cost.node_seconds = node_seconds(threads(false));
  // One graph a token, whatever streams; one row that is looked up is one read that is waited for.
  const double lookup = looks_up ? drive_latency_seconds(drive_) : 0;
  walk.drive = &drive_;
  // Nobody guesses the experts of a GPU.
  walk.prefetch = input_.work.prefetch && input_.gpu_slots.empty();
  walk.call_seconds = call_seconds();
  if (input_.layout != nullptr) {
    walk.ring_capacity_bytes = static_cast<double>(input_.layout->ring_bytes);
    walk.ring_bytes_per_second = ring_rate();
  }
  if (!walk.steps.empty()) {
    walk.steps.push_back(
        {.compute_seconds =
             cost.kv_seconds + call_seconds() + cost.node_seconds + cost.host_seconds + lookup});
  }
  const WalkTimes times = walk_tokens(walk);
  cost.token_seconds = times.token_seconds;
  cost.wait_seconds = times.wait_seconds + lookup;
  cost.call_seconds = times.call_seconds + call_seconds();
  cost.read_bytes = times.read_bytes;
  cost.read_seconds = times.read_seconds;
  cost.hit_share = uses_ > 0 ? hits_ / uses_ : 1;
  cost.gpu_hit_share = gpu_uses_ > 0 ? gpu_hits_ / gpu_uses_ : 1;
  return cost;
}

// A micro-batch computes, reads and copies at the same time, layer after layer: the largest counts.
// A matrix takes at least as long as for one token, for its weights have to come from memory; an
// expert gets the rows of the tokens that chose it.
PromptCost Model::prompt() {
  PromptCost cost;
  const Workload& work = input_.work;
  const double batch = std::max(1u, std::min(work.prompt_tokens, work.micro_batch));
  const double passes = std::max(1.0, std::ceil(work.prompt_tokens / batch));
  double compute = node_seconds(threads(true));
  double ring_bytes = 0;
  double expert_bytes = 0;
  double slice_bytes = 0;
  double upload_bytes = 0;
  // A cache that starts empty has nothing for the first micro-batch.
  const double warm = work.cold_tokens > 0 ? (passes - 1) / passes : 1;
  for (const uint32_t id : order()) {
    const TensorUse& use = input_.uses[id];
    const TensorInfo& tensor = info(id);
    if (!use.mapped && !on_gpu(id)) continue;
    if (use.rows && !use.matmul && !use.whole) continue;
    if (!matrix(tensor) && !use.whole) continue;
    KernelRates rate = rates(id, true);
    const bool gpu = computes_on_gpu(id) || takes_batch();
    if (gpu && rate.batch <= 0) rate.batch = kGpuBatch * rate.token;
    if (rate.batch <= 0 || rate.token <= 0) return {};
    const double bytes = static_cast<double>(tensor.bytes);
    if (use.experts && tensor.expert_count > 0) {
      const double experts = tensor.expert_count;
      const double used = std::min<double>(work.experts_used, experts);
      const double touched = experts * (1 - std::pow(1 - used / experts, batch));
      const double slice = static_cast<double>(tensor.expert_bytes());
      compute += std::max(touched * slice / rate.expert, batch * used * slice / rate.batch);
      if (gpu_slots(id) > 0) {
        upload_bytes += touched * slice * (1 - warm * gpu_slots(id) / experts);
      } else if (takes_batch() && !on_gpu(id)) {
        upload_bytes += touched * slice;
      }
      if (home(id) != Home::experts) continue;
      slice_bytes = slice;
      expert_bytes += touched * slice * (1 - hits(id));
      continue;
    }
    // The output matrix multiplies what is asked for: the last token.
    const double rows = tensor.role == TensorRole::output ? 1 : batch;
    compute += std::max(bytes / rate.token, rows * bytes / rate.batch);
    if (takes_batch() && !on_gpu(id)) upload_bytes += bytes;
    if (home(id) == Home::stream) ring_bytes += bytes;
  }
  const double ring = ring_rate();
  const double scattered =
      1e9 * drive_gbps(drive_,
                       {.read_bytes = std::min(kRingReadBytes, static_cast<uint64_t>(slice_bytes)),
                        .depth = kRingDepth});
  const double read =
      (ring > 0 ? ring_bytes / ring : 0) + (scattered > 0 ? expert_bytes / scattered : 0);
  cost.compute_seconds = passes * compute;
  cost.read_bytes = passes * (ring_bytes + expert_bytes);
  cost.read_seconds = passes * read;
  cost.upload_bytes = passes * upload_bytes;
  if (upload_bytes > 0) cost.upload_seconds = upload_seconds(cost.upload_bytes);
  cost.seconds = std::max({cost.compute_seconds, cost.read_seconds, cost.upload_seconds});
  // Another thread makes the pools present, and takes a core from threads that wait for each other:
  // the first prompt takes that much longer, twice as long at most.
  const double touch = 1e9 * input_.machine.memory.touch_gbps;
  const double new_bytes =
      input_.layout == nullptr ? 0 : static_cast<double>(input_.layout->pool_bytes);
  if (touch > 0) cost.touch_seconds = std::min(new_bytes / touch, cost.seconds);
  cost.seconds += cost.touch_seconds;
  return cost;
}

double spread_or(double known, const MachineProfile& machine) {
  if (known > 0) return std::min(known, 1.0);
  return machine.source == kMeasured ? kMeasuredSpread : kPublishedSpread;
}

// The same pace beside reads that go on for `share` of the time.
Pace beside_reads(const CostInput& input, Pace pace, double share) {
  const double left = input.machine.drive.beside_share;
  if (left > 0) pace.compute *= 1 - std::min(1.0, share) * (1 - left);
  return pace;
}

TokenCost token_cost(const CostInput& input, const Pace& pace) {
  const TokenCost cost = Model(input, pace).token();
  if (cost.read_seconds <= 0) return cost;
  return Model(input, beside_reads(input, pace, cost.read_seconds / cost.token_seconds))
      .token(cost.read_bytes);
}

PromptCost prompt_cost(const CostInput& input, const Pace& pace) {
  const PromptCost cost = Model(input, pace).prompt();
  if (cost.read_seconds <= 0) return cost;
  return Model(input, beside_reads(input, pace, cost.read_seconds / cost.seconds)).prompt();
}

double rate_of(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

std::string token_bottleneck(const CostInput& input, const TokenCost& cost) {
  if (cost.reads_longest()) {
    return fmt::format("drive: {} a token at {:.1f} GB/s",
                       format_bytes(static_cast<uint64_t>(cost.read_bytes)), cost.read_gbps());
  }
  if (cost.upload_seconds > cost.compute_seconds()) {
    return fmt::format("bus: {} a token at {:.1f} GB/s",
                       format_bytes(static_cast<uint64_t>(cost.upload_bytes)),
                       cost.upload_bytes * 1e-9 / cost.upload_seconds);
  }
  const std::pair<double, const char*> parts[] = {
      {cost.ram_seconds, main_gpu(input.machine).unified
                             ? "GPU: multiplying weights in unified memory"
                             : "CPU: multiplying weights in RAM"},
      {cost.gpu_seconds, "GPU: multiplying weights in its memory"},
      {cost.kv_seconds, "memory: attention over the KV cache"},
      {cost.call_seconds, "calls of the kernels"},
      {cost.node_seconds, "CPU: threads meeting after each node of the graph"}};
  const auto most =
      std::max_element(std::begin(parts), std::end(parts),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
  return fmt::format("{} takes {:.1f} of {:.1f} ms a token", most->second, 1e3 * most->first,
                     1e3 * cost.token_seconds);
}

std::string prompt_bottleneck(const PromptCost& cost) {
  if (cost.seconds <= 0) return "not known: the profile has no rates of batches";
  if (cost.reads_longest()) {
    return fmt::format("drive: {} in {:.1f} s",
                       format_bytes(static_cast<uint64_t>(cost.read_bytes)), cost.read_seconds);
  }
  if (cost.upload_seconds > cost.compute_seconds) {
    return fmt::format("bus: {} in {:.1f} s",
                       format_bytes(static_cast<uint64_t>(cost.upload_bytes)), cost.upload_seconds);
  }
  const std::string computing = fmt::format("computing: {:.1f} s", cost.compute_seconds);
  if (cost.touch_seconds < 0.1 * cost.seconds) return computing;
  return fmt::format("{}, and {:.1f} s until the slots of experts are present", computing,
                     cost.touch_seconds);
}

}  // namespace

std::vector<TensorUse> assumed_uses(const ModelIndex& index) {
  const bool tied = index.bytes_of(TensorRole::output) == 0;
  std::vector<TensorUse> uses;
  for (const TensorInfo& tensor : index.tensors()) {
    TensorUse use{.mapped = true};
    if (tensor.expert_count > 0) {
      use.experts = true;
    } else if (tensor.role == TensorRole::embedding && matrix(tensor)) {
      use.rows = true;
      use.matmul = tied;
    } else if (matrix(tensor) && tensor.ne[2] == 1) {
      use.matmul = true;
    } else {
      use.whole = true;
    }
    uses.push_back(use);
  }
  return uses;
}

double expected_hits(uint64_t slots, uint64_t tensors, uint32_t experts, uint32_t used,
                     double heat) {
  if (experts == 0 || tensors == 0) return 1;
  if (slots < tensors * std::min(used, experts)) return 0;
  const double share = static_cast<double>(slots) / static_cast<double>(tensors);
  if (share >= experts) return 1;
  if (heat <= 0) return share / experts;
  // The favourites stay: the sum of their shares, the last one in part.
  double kept = 0;
  double all = 0;
  for (uint32_t rank = 1; rank <= experts; ++rank) {
    const double weight = std::pow(rank, -heat);
    all += weight;
    kept += weight * std::clamp(share - (rank - 1.0), 0.0, 1.0);
  }
  return kept / all;
}

double expected_cold_hits(double full_hits, uint32_t experts, const Workload& work) {
  if (work.cold_tokens == 0 || experts == 0) return full_hits;
  // Beyond so many tokens a cache is full: the rest counts as such at once.
  constexpr uint32_t kCounted = 4096;
  const uint32_t counted = std::min(work.cold_tokens, kCounted);
  const double missed =
      1 - static_cast<double>(std::min(work.experts_used, experts)) / static_cast<double>(experts);
  double unused = std::pow(missed, work.cold_tokens_before);
  double sum = full_hits * (work.cold_tokens - counted);
  for (uint32_t token = 0; token < counted; ++token) {
    sum += std::min(full_hits, 1 - unused);
    unused *= missed;
  }
  return sum / work.cold_tokens;
}

Prediction predict(const CostInput& input) {
  Prediction prediction;
  prediction.token = token_cost(input, {});
  prediction.prompt = prompt_cost(input, {});
  const double compute = spread_or(0, input.machine) / 2;
  const double drive = spread_or(input.machine.drive.spread, input.machine) / 2;
  const Pace slow{.compute = 1 - compute, .drive = 1 - drive};
  const Pace fast{.compute = 1 + compute, .drive = 1 + drive};
  prediction.decode_tps = {.low = rate_of(1, token_cost(input, slow).token_seconds),
                           .middle = rate_of(1, prediction.token.token_seconds),
                           .high = rate_of(1, token_cost(input, fast).token_seconds)};
  const double tokens = input.work.prompt_tokens;
  prediction.prompt_tps = {.low = rate_of(tokens, prompt_cost(input, slow).seconds),
                           .middle = rate_of(tokens, prediction.prompt.seconds),
                           .high = rate_of(tokens, prompt_cost(input, fast).seconds)};
  prediction.bottleneck = token_bottleneck(input, prediction.token);
  prediction.prompt_bottleneck = prompt_bottleneck(prediction.prompt);
  return prediction;
}

const char* fit_class(double decode_tps) {
  return decode_tps > 10 ? "fast" : decode_tps > 2 ? "usable" : "slow";
}

}  // namespace hypura
