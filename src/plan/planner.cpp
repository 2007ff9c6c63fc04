#include "plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/units.h"
#include "plan/budget.h"
#include "plan/gpu_batches.h"
#include "plan/gpu_copies.h"
#include "plan/gpu_split.h"
#include "plan/placement.h"
#include "plan/rates.h"
#include "plan/repacked_placement.h"

namespace hypura {
namespace {

// What an idle desktop takes of a machine that we cannot ask: macOS and Linux start with 1.5 to 2.5
// GB.
constexpr uint64_t kSystemBytes = 2 * kGiB;

Workload workload(const PlanInput& input) {
  Workload work = input.work;
  work.experts_used = static_cast<uint32_t>(input.index.info().expert_used_count);
  if (input.demand.context > 0) {
    work.kv_bytes_per_token = static_cast<double>(input.demand.kv_bytes) / input.demand.context;
    work.kv_tokens = std::min(work.kv_tokens, input.demand.context);
    work.prompt_tokens = std::min(work.prompt_tokens, input.demand.context);
  }
  if (input.demand.micro_batch > 0) work.micro_batch = input.demand.micro_batch;
  if (work.threads == 0) {
    work.threads = input.demand.threads;
    work.threads_batch = input.demand.threads_batch;
  }
  work.graph_nodes = input.demand.graph_nodes;
  return work;
}

// For the ring's look-ahead: what most streamed bytes compute at, and the drive.
Speeds speeds_of(const PlanInput& input) {
  std::map<int, uint64_t> bytes;
  for (uint32_t i = 0; i < input.index.tensors().size(); ++i) {
    const TensorInfo& tensor = input.index.tensor(TensorId{i});
    if (input.demand.uses[i].matmul) bytes[tensor.type] += tensor.bytes;
  }
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == bytes.end()) return {};
  const KernelRates rates = kernel_rates(input.machine.compute, type_name(most->first),
                                         input.demand.threads, input.machine.memory.read_gbps);
  const double drive =
      drive_gbps(input.machine.drive, {.read_bytes = kMiB, .depth = 32, .sequential = true});
  return {.drive = 1e9 * drive, .compute = 1e9 * rates.token};
}

bool has_one_gpu(const MachineProfile& machine) {
  return std::count_if(machine.gpus.begin(), machine.gpus.end(),
                       [](const GpuProfile& gpu) { return !gpu.unified; }) == 1;
}

bool may_copy_experts(const PlanInput& input) {
  const bool mode = input.mode == Mode::automatic || input.mode == Mode::experts;
  return has_one_gpu(input.machine) && mode && input.may_copy_experts;
}

double heat_or_usual(const PlanInput& input) { return input.heat.value_or(kUsualHeat); }

// Of RAM.
uint64_t fixed_bytes(const PlanInput& input, const GpuShare& gpu) {
  return saturating_subtract(input.demand.fixed_bytes, gpu.kv_bytes);
}

// Of weights that may be pages of the file there.
uint64_t page_cache_bytes(const PlanInput& input) {
  const ModelDemand& demand = input.demand;
  if (input.mode != Mode::automatic) return 0;
  return saturating_subtract(input.available_bytes, demand.fixed_bytes - demand.compute_bytes +
                                                        demand.process_base_bytes);
}

bool page_cache_holds(const PlanInput& input) {
  return input.available_bytes > 0 && input.index.info().weight_bytes <= page_cache_bytes(input);
}

bool takes_batches(const PlanInput& input) {
  return has_one_gpu(input.machine) && input.mode != Mode::resident;
}

// Of a share with all of the KV cache.
GpuShareInput share_input(const PlanInput& input) {
  const ModelDemand& demand = input.demand;
  const uint64_t fixed_bytes = saturating_subtract(demand.fixed_bytes, demand.kv_bytes);
  return {.bytes = sum(input.gpu_bytes),
          .each = input.gpu_bytes,
          .kv_bytes = demand.kv_bytes,
          .ram_bytes = std::max(saturating_subtract(input.budget_bytes, fixed_bytes),
                                page_cache_bytes(input))};
}

BatchInput batch_input(const PlanInput& input, GpuShareInput share) {
  share.batch_compute_bytes = input.demand.gpu_activations();
  return {.share = std::move(share),
          .streams = streams(input.mode),
          .micro_batch = input.demand.micro_batch,
          .threads = input.demand.threads_batch,
          .heat = heat_or_usual(input)};
}

GpuShare choose_gpu(const PlanInput& input) {
  GpuShareInput asked = share_input(input);
  if (may_copy_experts(input)) {
    asked.experts_used = static_cast<uint32_t>(input.index.info().expert_used_count);
  }
  GpuShare share = choose_split_share(input.index, asked);
  if (share.experts.has_value()) {
    const uint64_t ram_bytes = saturating_subtract(input.budget_bytes, fixed_bytes(input, share));
    const int type = input.index.tensor(share.experts->first()).type;
    const CopyRates rates = copy_rates(input.machine, type, input.demand.threads);
    share = better_share(input.index, std::move(share), asked, rates, heat_or_usual(input),
                         ram_bytes);
  }
  if (!takes_batches(input)) return share;
  return better_for_batches(input.index, std::move(share), batch_input(input, asked),
                            input.machine);
}

PlacementInput placement(const PlanInput& input, const GpuShare& gpu, const PlanChoice& choice) {
  PlacementInput result{.uses = input.demand.uses,
                        .weight_budget =
                            saturating_subtract(input.budget_bytes, fixed_bytes(input, gpu)),
                        .elastic = input.elastic,
                        .experts_used = static_cast<uint32_t>(input.index.info().expert_used_count),
                        .rows_per_graph = input.demand.rows_per_graph,
                        .speeds = speeds_of(input),
                        .pin_bytes_max = choice.pin_bytes_max,
                        .pool_bytes_max = choice.pool_bytes_max,
                        .ring_slots = choice.ring_slots};
  for (size_t i = 0; i < gpu.on_gpu.size(); ++i) {
    if (gpu.on_gpu[i]) result.uses[i].mapped = false;
  }
  if (gpu.experts.has_value()) {
    place_for_copies(input.index, result);
  } else {
    result.copies_routers = input.copies_routers;
  }
  return result;
}

Result<Layout> place_as(const PlanInput& input, const PlacementInput& where) {
  const std::vector<uint64_t>& repacked_bytes = input.demand.repacked_bytes;
  if (repacked_bytes.empty()) return place(input.index, where);
  return place_repacked(input.index, where, repacked_bytes);
}

Status does_not_fit(const PlanInput& input, uint64_t minimum) {
  const ModelDemand& demand = input.demand;
  const uint64_t needed = demand.fixed_bytes + minimum;
  std::string hint = fmt::format("--ram-budget {}M", needed / kMiB + 1);
  const uint64_t beside = needed - demand.kv_bytes;
  if (demand.context > 0 && demand.kv_bytes > 0 && input.budget_bytes > beside) {
    const uint64_t per_token = std::max<uint64_t>(1, demand.kv_bytes / demand.context);
    const uint64_t context = round_down((input.budget_bytes - beside) / per_token, 256);
    if (context > 0) hint += fmt::format(", --ctx {}", context);
  }
  // Activations grow with the micro-batch.
  if (demand.micro_batch > 32 && needed - demand.compute_bytes * 7 / 8 <= input.budget_bytes) {
    hint += fmt::format(", -ub {}", demand.micro_batch / 8);
  }
  if (input.mode != Mode::automatic) hint += ", --mode auto";
  return Status(StatusCode::does_not_fit,
                fmt::format("plan does not fit: needs {} of RAM, budget is {}",
                            format_bytes(needed), format_bytes(input.budget_bytes)))
      .because(fmt::format(
          "{} least for weights + {} KV (ctx {}) + {} activations and buffers{}",
          format_bytes(minimum), format_bytes(demand.kv_bytes), demand.context,
          format_bytes(demand.fixed_bytes - demand.kv_bytes - demand.draft_bytes),
          demand.draft_bytes == 0
              ? std::string()
              : fmt::format(" + {} draft model", format_bytes(demand.draft_bytes))))
      .suggest(hint);
}

// What is tried beside place()'s rule: less pinned in favour of experts, where both compete, and
// shorter and longer rings, where there is one.
std::vector<PlanChoice> choices(const Layout& layout) {
  std::vector<PlanChoice> list;
  if (!layout.pools.empty() && layout.pinned_bytes > 0) {
    for (const uint64_t part : {2, 1, 0}) {
      list.push_back({.pin_bytes_max = layout.pinned_bytes * part / 4});
    }
  }
  if (layout.ring_bytes > 0) {
    list.push_back({.ring_slots = layout.ring_slots * 2});
    list.push_back({.ring_slots = layout.ring_slots * 4});
  }
  return list;
}

Status stream(const PlanInput& input, Plan& plan) {
  const PlanChoice first = input.choice.value_or(PlanChoice{});
  PlacementInput where = placement(input, plan.gpu, first);
  const uint64_t minimum = minimum_weight_budget(input.index, where);
  if (minimum > where.weight_budget) return does_not_fit(input, minimum);
  Result<Layout> layout = place_as(input, where);
  if (!layout.ok()) return layout.status();
  if (Status status = check_choice(first, *layout); !status.ok()) return status;
  plan.choice = first;
  plan.prediction = predict_layout(input, &*layout, plan.gpu);
  plan.layout = *std::move(layout);
  if (!input.choice.has_value()) {
    for (const PlanChoice& choice : choices(*plan.layout)) {
      Result<Layout> other = place_as(input, placement(input, plan.gpu, choice));
      if (!other.ok()) continue;
      Prediction prediction = predict_layout(input, &*other, plan.gpu);
      // A hundredth better, not less: within that the model cannot tell plans apart.
      if (prediction.token.token_seconds > 0.99 * plan.prediction.token.token_seconds) continue;
      plan.choice = choice;
      plan.prediction = std::move(prediction);
      plan.layout = *std::move(other);
    }
  }
  plan.mode = mode_of(*plan.layout, plan.gpu.experts.has_value());
  return Status();
}

}  // namespace

Result<Plan> make_plan(const PlanInput& input) {
  Plan plan{.budget_bytes = input.budget_bytes, .gpu = choose_gpu(input)};
  const uint64_t weights = input.index.info().weight_bytes - plan.gpu.weight_bytes;
  const bool asked = streams(input.mode) || plan.gpu.experts.has_value();
  const bool fits = weights + fixed_bytes(input, plan.gpu) <= input.budget_bytes;
  if (!asked && (fits || page_cache_holds(input))) {
    plan.mode = fits ? Mode::resident : Mode::mapped;
    plan.prediction = predict_layout(input, nullptr, plan.gpu);
    return plan;
  }
  if (input.mode == Mode::resident) return does_not_fit(input, weights);
  if (Status status = stream(input, plan); !status.ok()) return status;
  return plan;
}

ModelDemand with_larger_batches(ModelDemand demand, uint32_t factor) {
  demand.fixed_bytes += (factor - 1) * demand.compute_bytes;
  demand.compute_bytes *= factor;
  demand.gpu_compute_bytes *= factor;
  demand.micro_batch *= factor;
  return demand;
}

ModelDemand with_micro_batch(const PlanInput& input, uint32_t most) {
  const ModelDemand& demand = input.demand;
  const GpuShare share = choose_gpu(input);
  if (!takes_batches(input) || share.on_gpu.empty()) return demand;
  BatchInput batches = batch_input(input, share_input(input));
  if (share.experts.has_value()) {
    const uint64_t ram_bytes = saturating_subtract(input.budget_bytes, fixed_bytes(input, share));
    batches = with_copies(input.index, batches, ram_bytes);
  }
  const uint32_t tokens = better_micro_batch(input.index, batches, demand.compute_bytes,
                                             std::min(most, demand.context), input.machine);
  if (tokens == demand.micro_batch) return demand;
  ModelDemand larger = with_larger_batches(demand, tokens / demand.micro_batch);
  if (!share.experts.has_value()) return larger;
  const uint64_t usual = demand.gpu_activations();
  larger.gpu_kernel_bytes = kernel_bytes(larger.gpu_activations() - usual);
  const PlanInput with_larger{
      .index = input.index,
      .demand = larger,
      .machine = input.machine,
      .budget_bytes = input.budget_bytes,
      .mode = input.mode,
      .gpu_bytes = {saturating_subtract(
          sum(input.gpu_bytes), larger.gpu_activations() + larger.gpu_kernel_bytes - usual)},
      .may_copy_experts = input.may_copy_experts,
      .heat = input.heat};
  return choose_gpu(with_larger).experts.has_value() ? larger : demand;
}

Status check_choice(const PlanChoice& choice, const Layout& layout) {
  const auto refuse = [](const std::string& what, const std::string& why) {
    return Status(StatusCode::does_not_fit, "plan does not fit: " + what)
        .because(why)
        .suggest("a larger --ram-budget, or other decisions in the plan");
  };
  if (layout.ring_bytes > 0 && layout.ring_slots < choice.ring_slots) {
    return refuse(fmt::format("its ring has {} slots of {}", choice.ring_slots,
                              format_bytes(layout.ring_slot_bytes)),
                  fmt::format("{} fit, in the part of what weights have that a ring gets",
                              layout.ring_slots));
  }
  if (!layout.pools.empty() && layout.pool_bytes > choice.pool_bytes_max) {
    return refuse(fmt::format("its experts have {}", format_bytes(choice.pool_bytes_max)),
                  fmt::format("{} is their least", format_bytes(layout.pool_bytes)));
  }
  return Status();
}

uint64_t least_budget(PlanInput input) {
  input.budget_bytes = 0;
  for (;;) {
    const GpuShare gpu = choose_gpu(input);
    PlacementInput where = placement(input, gpu, {});
    where.pins_experts = false;
    const uint64_t bytes = fixed_bytes(input, gpu) + minimum_weight_budget(input.index, where);
    if (bytes <= input.budget_bytes) return input.budget_bytes;
    input.budget_bytes = bytes;  // with which a GPU may be given other weights
  }
}

Prediction predict_layout(const PlanInput& input, const Layout* layout, const GpuShare& gpu) {
  CostInput cost{.index = input.index,
                 .uses = input.demand.uses,
                 .machine = input.machine,
                 .work = workload(input),
                 .layout = layout,
                 .on_gpu = gpu.on_gpu};
  cost.gpu_batches = gpu.batches.has_value();
  if (gpu.experts.has_value()) {
    cost.gpu_slots = gpu.experts->slots;
    cost.work.heat = heat_or_usual(input);
  }
  return predict(cost);
}

uint64_t automatic_budget(const MachineProfile& machine, uint64_t process_base_bytes) {
  uint64_t bytes = machine.memory.total_bytes;
  if (machine.memory.limit_bytes > 0) {
    bytes = std::min(bytes, machine.memory.limit_bytes);
  } else {
    bytes = saturating_subtract(bytes, kSystemBytes);
  }
  bytes = static_cast<uint64_t>(kAutoShare * static_cast<double>(bytes));
  bytes = saturating_subtract(bytes, process_base_bytes);
  for (const GpuProfile& gpu : machine.gpus) {
    if (gpu.unified && gpu.working_set_bytes > 0) bytes = std::min(bytes, gpu.working_set_bytes);
  }
  return bytes;
}

Result<std::vector<uint64_t>> gpu_bytes(const MachineProfile& machine, const GpuBudget& budget,
                                        const ModelDemand& demand) {
  std::vector<uint64_t> free_bytes;
  for (const GpuProfile& gpu : machine.gpus) {
    if (gpu.unified) continue;
    free_bytes.push_back(gpu.working_set_bytes > 0 ? gpu.working_set_bytes : gpu.total_bytes);
  }
  const Result<uint64_t> bytes = resolve(budget, free_bytes);
  if (!bytes.ok()) return bytes.status();
  std::vector<uint64_t> each = split_gpu_budget(*bytes, free_bytes);
  for (uint64_t& gpu : each) {
    gpu = saturating_subtract(gpu, demand.gpu_activations() + demand.gpu_kernel_bytes);
  }
  return each;
}

TierBytes tier_bytes(const ModelIndex& index, const Plan& plan) {
  TierBytes bytes;
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const uint64_t own = index.tensor(TensorId{i}).bytes;
    const bool gpu = !plan.gpu.on_gpu.empty() && plan.gpu.on_gpu[i];
    const Home home = plan.layout.has_value() ? plan.layout->homes[i].home : Home::pinned;
    if (gpu) {
      bytes.gpu += own;
      if (plan.layout.has_value() && home == Home::pinned) bytes.copied += own;
    } else if (home == Home::pinned || home == Home::repacked) {
      bytes.ram += own;
    } else if (home != Home::unused) {
      bytes.drive += own;
    }
  }
  return bytes;
}

}  // namespace hypura
