#include "cli/plan/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/gpu_words.h"
#include "cli/plan/history_words.h"
#include "cli/plan/kv_type.h"
#include "model/printable.h"
#include "plan/gpu_batches.h"
#include "plan/rates.h"

namespace hypura::cli {
namespace {

using Json = nlohmann::ordered_json;

// The machine's GPU computes, if it is there and takes part.
bool uses_gpu(const PlanView& view) { return !view.plan.gpu.on_gpu.empty(); }
bool unified(const PlanView& view) { return main_gpu(view.input.machine).unified; }

std::string machine_text(const MachineProfile& machine) {
  std::string text = machine.name.empty() ? machine.cpu : machine.name;
  if (text.empty()) text = "unnamed";
  text += fmt::format(": {} of RAM", format_bytes(machine.memory.total_bytes));
  if (machine.memory.read_gbps > 0) {
    text += fmt::format(" at {:.0f} GB/s", machine.memory.read_gbps);
  }
  if (machine.drive.sequential_gbps > 0) {
    text += fmt::format(", drive {:.1f} GB/s", machine.drive.sequential_gbps);
  }
  for (const GpuProfile& gpu : machine.gpus) text += ", " + gpu.name;
  return text;
}

uint32_t slots(const Plan& plan) {
  uint32_t count = 0;
  if (plan.layout.has_value()) {
    for (const PoolLayout& pool : plan.layout->pools) count += pool.slots;
  }
  return count;
}

std::string rate_text(const Range& range) {
  return range.middle <= 0
             ? std::string("not known")
             : fmt::format("{:.2f} tok/s ({:.2f} to {:.2f})", range.middle, range.low, range.high);
}

std::string kv_types_text(const common_params& params) {
  const std::string keys = kv_type_text(params.cache_type_k);
  const std::string values = kv_type_text(params.cache_type_v);
  return keys == values ? keys : keys + " and " + values;
}

// How many of a tensor's experts the GPU can hold that computes with them; 0: it does not.
uint32_t gpu_slots(const Plan& plan, uint32_t id) {
  return plan.gpu.experts.has_value() ? plan.gpu.experts->slots[id] : 0;
}

// Where experts compute that lie below a GPU.
std::string copies_text(const PlanView& view, uint32_t id) {
  const uint32_t slots = gpu_slots(view.plan, id);
  if (slots == 0) return std::string();
  return fmt::format("; copied to the GPU to be computed with, {} of {} have slots there", slots,
                     view.input.index.tensor(TensorId{id}).expert_count);
}

std::string home_text(const PlanView& view, uint32_t id) {
  const Plan& plan = view.plan;
  const TensorInfo& tensor = view.input.index.tensor(TensorId{id});
  if (!plan.gpu.on_gpu.empty() && plan.gpu.on_gpu[id]) {
    const bool copied = plan.layout.has_value() && plan.layout->homes[id].home == Home::pinned;
    return fmt::format(
        "GPU: layers without their FFN first, then FFNs and experts, from the last layer on{}",
        copied ? "; a copy in RAM guesses experts ahead" : "");
  }
  if (!plan.layout.has_value()) return "RAM: everything fits";
  const TensorHome& home = plan.layout->homes[id];
  switch (home.home) {
    case Home::unused:
      return "nowhere: no graph uses it";
    case Home::pinned:
      if (gpu_slots(plan, id) > 0) return "RAM, pinned, where all experts fit";
      return view.input.demand.uses[id].whole
                 ? "RAM, pinned: it only serves whole"
                 : "RAM, pinned: every token needs all of it, so its bytes save the most reads";
    case Home::repacked:
      return "RAM, repacked";
    case Home::stream:
      return fmt::format(
          "NVMe, {} rows at a time through a ring of {} slots: {} are read for every "
          "token",
          home.piece_rows, plan.layout->ring_slots, format_bytes(tensor.bytes));
    case Home::rows:
      return fmt::format("NVMe, rows as they are looked up, {} cached", home.row_slots);
    case Home::experts: {
      const PoolLayout& pool = plan.layout->pools[home.pool];
      const double hits = expected_hits(
          pool.slots, pool.tensors.size(), tensor.expert_count,
          static_cast<uint32_t>(view.input.index.info().expert_used_count), view.input.work.heat);
      return fmt::format(
          "NVMe, experts as they are routed to: {} slots for {} experts of {} "
          "tensors, expected hits {:.0f} %",
          pool.slots, tensor.expert_count, pool.tensors.size(), 100 * hits);
    }
  }
  return "";
}

std::string explain_mode(const PlanView& view) {
  const PlanInput& input = view.input;
  const Plan& plan = view.plan;
  const uint64_t weights = input.index.info().weight_bytes;
  std::string text = fmt::format("mode {}\n", to_string(plan.mode));
  text += fmt::format(
      "  resident needs {}: {} of weights + {} KV (ctx {}) + {} activations and "
      "buffers{}; the budget is {}\n",
      format_bytes(weights + input.demand.fixed_bytes), format_bytes(weights),
      format_bytes(input.demand.kv_bytes), input.demand.context,
      format_bytes(input.demand.fixed_bytes - input.demand.kv_bytes - input.demand.draft_bytes),
      input.demand.draft_bytes == 0
          ? std::string()
          : fmt::format(" + {} draft model", format_bytes(input.demand.draft_bytes)),
      format_bytes(plan.budget_bytes));
  if (!streams(plan.mode)) {
    return text + (plan.mode == Mode::mapped
                       ? "  mapped: it is just too small, but the page cache holds the file\n"
                       : "  it fits, so nothing streams\n");
  }
  const double used = static_cast<double>(input.index.info().expert_used_count);
  const double all = static_cast<double>(input.index.info().expert_count);
  if (all > 0) {
    text += fmt::format(
        "  a byte of dense weights in RAM saves a byte of reading a token, a byte of "
        "experts {:.2f} ({:.0f} of {:.0f} are used): dense weights first\n",
        used / all, used, all);
  }
  text +=
      fmt::format("  pinned {}, ring {} slots, expert slots {}\n",
                  format_bytes(plan.layout->pinned_bytes), plan.layout->ring_slots, slots(plan));
  const TokenCost& token = plan.prediction.token;
  text += fmt::format(
      "  a token computes {:.1f} ms and reads {:.1f} ms at the same time; it takes "
      "{:.1f} ms, {:.1f} of them waiting\n",
      1e3 * token.compute_seconds(), 1e3 * token.read_seconds, 1e3 * token.token_seconds,
      1e3 * token.wait_seconds);
  return text;
}

// The times are those of the kernels alone, in memory: reading goes on beside them.
std::string explain_threads(const PlanView& view) {
  const ModelDemand& demand = view.input.demand;
  if (demand.threads == 0) return "threads: as many as the machine's profile has rates of\n";
  std::string text = fmt::format("threads: {} for tokens, {} for prompts: {}\n", demand.threads,
                                 demand.threads_batch, view.threads.why);
  for (const ThreadTime& time : view.threads.times) {
    text += fmt::format("  {:>3} {:<8} {:>8.2f} ms of kernels a token, "
                        "{:>8.2f} s a prompt of 512\n",
                        time.threads, time.threads == 1 ? "thread" : "threads",
                        1e3 * time.token_seconds, time.prompt_seconds);
  }
  const DriveProfile& drive = view.input.machine.drive;
  if (drive.knee_depth > 0) {
    text += fmt::format("  the drive is at its best from {} reads in flight on; the kernel does "
                        "them, or as many threads as reads without io_uring\n",
                        drive.knee_depth);
  }
  return text;
}

// Speeds of the model itself: how much of a draft is accepted shows only in running.
bool drafts(const PlanView& view) {
  return view.options.draft.kind != DraftOptions::Kind::none;
}

std::string misses_text(const TokenCost& token) {
  return fmt::format("expected hits {:.0f} %, {} copied a token", 100 * token.gpu_hit_share,
                     format_bytes(static_cast<uint64_t>(token.upload_bytes)));
}

// The memory of the GPU for experts that lie elsewhere, and why it is had.
std::string explain_copies(const PlanView& view) {
  if (!view.plan.gpu.experts.has_value()) return std::string();
  const GpuShare::Experts& experts = *view.plan.gpu.experts;
  return fmt::format(
      "  {} {}, {}\n  {} {}\n  copying what is missed there is faster than the CPU's computing of "
      "all that would lie below\n",
      format_bytes(experts.cache_bytes), slots_text(view.input.index, experts),
      misses_text(view.plan.prediction.token), format_bytes(experts.places * experts.place_bytes),
      places_text(experts, view.input.demand.micro_batch));
}

std::string explain_batches(const PlanView& view) {
  if (!view.plan.gpu.batches.has_value()) return std::string();
  const GpuShare::Batches& batches = *view.plan.gpu.batches;
  return fmt::format("  {} {}\n  what streams below is copied there for batches of {} tokens and "
                     "more: faster than the CPU's computing\n",
                     format_bytes(batches.bytes()),
                     places_text(batches, view.input.demand.micro_batch), kGpuBatchTokens);
}

// By role, what a tier holds.
std::string explain_tier(const PlanView& view, const std::string& tier) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> roles;
  for (uint32_t i = 0; i < view.input.index.tensors().size(); ++i) {
    const bool gpu = !view.plan.gpu.on_gpu.empty() && view.plan.gpu.on_gpu[i];
    const Home home = view.plan.layout.has_value() ? view.plan.layout->homes[i].home : Home::pinned;
    const bool ram = home == Home::pinned || home == Home::repacked;
    const std::string own = gpu ? "gpu" : home == Home::unused ? "" : ram ? "ram" : "nvme";
    if (own != tier) continue;
    const TensorInfo& tensor = view.input.index.tensor(TensorId{i});
    auto& [count, bytes] = roles[to_string(tensor.role)];
    ++count;
    bytes += tensor.bytes;
  }
  std::string text = tier + "\n";
  for (const auto& [role, sum] : roles) {
    text +=
        fmt::format("  {:<14}{:>6} tensors {:>12}\n", role, sum.first, format_bytes(sum.second));
  }
  if (roles.empty()) text += "  nothing\n";
  return tier == "gpu" ? text + explain_copies(view) + explain_batches(view) : text;
}

// What past runs of this machine did to the speeds above.
std::string past_line(const Calibration& calibration) {
  const auto phase = [](const char* name, const Correction& correction) {
    if (correction.runs == 0) return std::string();
    const std::string done = correction.factor == 1
                                 ? std::string("none of them like this one")
                                 : fmt::format("corrected by x{:.2f}", correction.factor);
    return fmt::format("past   {}: {}, {}\n", name, past_text(correction), done);
  };
  return phase("decode", calibration.decode) + phase("prompt", calibration.prompt);
}

Json range_json(const Range& range) {
  if (range.middle <= 0) return nullptr;
  return {{"low", range.low}, {"middle", range.middle}, {"high", range.high}};
}

}  // namespace

std::string plan_table(const PlanView& view) {
  const Plan& plan = view.plan;
  const ModelInfo& info = view.input.index.info();
  const TokenCost& token = plan.prediction.token;
  std::string text = fmt::format(
      "{} ({}, {}), {} of weights\nmachine {}\nmode {}, context {}, "
      "budget {}\n\n{:<6}{:>11}{:>8}{:>13}  {}\n",
      info.name.empty() ? "model" : printable(info.name), printable(info.architecture),
      printable(info.quantization), format_bytes(info.weight_bytes),
      machine_text(view.input.machine), to_string(plan.mode), view.input.demand.context,
      format_bytes(plan.budget_bytes), "tier", "bytes", "share", "of a token", "what");
  const auto row = [&](const std::string& tier, uint64_t bytes, double seconds,
                       const std::string& what) {
    const double share = static_cast<double>(bytes) / static_cast<double>(info.weight_bytes);
    text += fmt::format("{:<6}{:>11}{:>6.1f} %{:>10.1f} ms  {}\n", tier, format_bytes(bytes),
                        100 * share, 1e3 * seconds, what);
  };
  const TierBytes tiers = tier_bytes(view.input.index, plan);
  if (uses_gpu(view)) {
    row("GPU", tiers.gpu, token.gpu_seconds, "weights in its memory");
    row("GPU", plan.gpu.kv_bytes, 0, fmt::format("KV cache of {} layers", plan.gpu.layers));
    for (size_t i = 0; i < plan.gpu.parts.size(); ++i) {
      row(fmt::format("GPU {}", i), plan.gpu.parts[i].bytes(), 0, part_text(plan.gpu.parts[i]));
    }
  }
  if (plan.gpu.experts.has_value()) {
    const GpuShare::Experts& experts = *plan.gpu.experts;
    row("GPU", experts.cache_bytes, token.upload_seconds,
        fmt::format("{}, {}", slots_text(view.input.index, experts), misses_text(token)));
    row("GPU", experts.places * experts.place_bytes, 0,
        places_text(experts, view.input.demand.micro_batch));
  }
  if (plan.gpu.batches.has_value()) {
    row("GPU", plan.gpu.batches->bytes(), 0,
        places_text(*plan.gpu.batches, view.input.demand.micro_batch));
  }
  row("RAM", tiers.ram, token.ram_seconds,
      streams(plan.mode) ? "weights that stay; computing all that is in RAM or passes through it"
      : unified(view)    ? "all weights, in memory that the GPU shares"
                         : "all other weights");
  if (tiers.copied > 0) {
    row("RAM", tiers.copied, 0, "copies of the GPU's routers, which guess experts ahead");
  }
  if (plan.layout.has_value()) {
    std::string what;
    if (plan.layout->ring_bytes > 0)
      what = fmt::format("ring of {} slots", plan.layout->ring_slots);
    if (slots(plan) > 0) {
      what += fmt::format("{}{} expert slots, expected hits {:.0f} %", what.empty() ? "" : ", ",
                          slots(plan), 100 * plan.prediction.token.hit_share);
    }
    const uint64_t bytes = plan.layout->total_bytes() - plan.layout->pinned_bytes;
    if (bytes > 0) row("RAM", bytes, 0, what);
  }
  if (plan.layout.has_value() && plan.layout->repacked_bytes > 0) {
    row("RAM", plan.layout->repacked_bytes, 0,
        "of the weights that stay, repacked for faster prompts: NOT the bits of streaming");
  }
  const ModelDemand& demand = view.input.demand;
  const uint64_t kv_bytes = demand.kv_bytes - std::min(demand.kv_bytes, plan.gpu.kv_bytes);
  row("RAM", demand.fixed_bytes - demand.draft_bytes - (demand.kv_bytes - kv_bytes),
      token.kv_seconds,
      kv_bytes == 0 && plan.gpu.kv_bytes > 0
          ? std::string("activations and buffers")
          : fmt::format("KV cache {} ({}), activations and buffers", format_bytes(kv_bytes),
                        kv_types_text(view.options.params)));
  if (demand.draft_bytes > 0) {
    row("RAM", demand.draft_bytes, 0, "draft model " + view.options.draft.path);
  }
  if (tiers.drive > 0) {
    row("NVMe", tiers.drive, token.read_seconds,
        fmt::format("weights read as they are needed, {} a token",
                    format_bytes(static_cast<uint64_t>(token.read_bytes))));
  }
  text += fmt::format("\ndecode {}: {}\n       {}\nprompt {}\n       {}\n",
                      rate_text(plan.prediction.decode_tps),
                      fit_class(plan.prediction.decode_tps.middle), plan.prediction.bottleneck,
                      rate_text(plan.prediction.prompt_tps), plan.prediction.prompt_bottleneck);
  text += past_line(view.past.calibration);
  if (drafts(view)) {
    text += "draft  what it brings shows only in running: these speeds are without it\n";
  }
  if (view.options.fast_prompt) {
    text += "repack these speeds are of kernels without it, which is the least for prompts\n";
  }
  if (demand.threads > 0) {
    text += fmt::format("threads {} for tokens, {} for prompts: {}\n", demand.threads,
                        demand.threads_batch, view.threads.why);
  }
  for (const std::string& line : view.suggestions) text += "try    " + line + "\n";
  return text;
}

std::string plan_json(const PlanView& view) {
  const Plan& plan = view.plan;
  const ModelInfo& info = view.input.index.info();
  const TokenCost& token = plan.prediction.token;
  const TierBytes tiers = tier_bytes(view.input.index, plan);
  Json json = {{"schema", 1},
               {"model", info.name},
               {"architecture", info.architecture},
               {"quantization", info.quantization},
               {"weight_bytes", info.weight_bytes},
               {"machine",
                view.input.machine.name.empty() ? view.input.machine.cpu : view.input.machine.name},
               {"mode", to_string(plan.mode)},
               {"context", view.input.demand.context},
               {"micro_batch", view.input.demand.micro_batch},
               {"budget_bytes", plan.budget_bytes},
               {"fixed_bytes", view.input.demand.fixed_bytes},
               {"kv_bytes", view.input.demand.kv_bytes},
               {"gpu_bytes", tiers.gpu},
               {"gpu_kv_bytes", plan.gpu.kv_bytes},
               {"gpu_layers", plan.gpu.layers},
               {"pinned_bytes", tiers.ram},
               {"router_copy_bytes", tiers.copied},
               {"streamed_bytes", tiers.drive}};
  const GpuShare::Experts experts = plan.gpu.experts.value_or(GpuShare::Experts{});
  const GpuShare::Batches batches = plan.gpu.batches.value_or(GpuShare::Batches{});
  json["gpu_parts"] = parts_json(plan.gpu.parts);
  json["gpu_cache_bytes"] = experts.cache_bytes;
  json["gpu_cache_slots"] = plan.gpu.experts ? experts.slots[experts.first().value] : 0;
  json["gpu_place_bytes"] = std::max(experts.place_bytes, batches.place_bytes);
  json["gpu_places"] = std::max(experts.places, batches.places);
  json["gpu_expected_hit_rate"] = plan.gpu.experts ? Json(token.gpu_hit_share) : Json(nullptr);
  json["ring_slots"] = plan.layout.has_value() ? plan.layout->ring_slots : 0;
  json["ring_bytes"] = plan.layout.has_value() ? plan.layout->ring_bytes : 0;
  json["pool_bytes"] = plan.layout.has_value() ? plan.layout->pool_bytes : 0;
  json["expert_slots"] = slots(plan);
  json["expected_hit_rate"] = slots(plan) > 0 ? Json(token.hit_share) : Json(nullptr);
  const bool known = !drafts(view);
  json["predicted_decode_tps"] = known ? range_json(plan.prediction.decode_tps) : Json(nullptr);
  json["predicted_prompt_tps"] = known ? range_json(plan.prediction.prompt_tps) : Json(nullptr);
  json["draft_bytes"] = view.input.demand.draft_bytes;
  json["repacked_bytes"] = plan.layout.has_value() ? plan.layout->repacked_bytes : 0;
  json["kv_type_k"] = kv_type_text(view.options.params.cache_type_k);
  json["kv_type_v"] = kv_type_text(view.options.params.cache_type_v);
  json["threads"] = view.input.demand.threads;
  json["threads_batch"] = view.input.demand.threads_batch;
  json["threads_why"] = view.threads.why;
  json["fit"] = fit_class(plan.prediction.decode_tps.middle);
  json["bottleneck"] = plan.prediction.bottleneck;
  json["prompt_bottleneck"] = plan.prediction.prompt_bottleneck;
  json["token"] = {{"seconds", token.token_seconds},     {"ram_seconds", token.ram_seconds},
                   {"gpu_seconds", token.gpu_seconds},   {"kv_seconds", token.kv_seconds},
                   {"call_seconds", token.call_seconds}, {"node_seconds", token.node_seconds},
                   {"host_seconds", token.host_seconds},
                   {"upload_bytes", token.upload_bytes}, {"upload_seconds", token.upload_seconds},
                   {"read_bytes", token.read_bytes},
                   {"read_seconds", token.read_seconds}, {"wait_seconds", token.wait_seconds}};
  json["suggestions"] = view.suggestions;
  json["planning_seconds"] = view.seconds;
  json["history"] = {
      {"decode", correction_json(view.past.calibration.decode, view.past.uncalibrated_decode_tps)},
      {"prompt", correction_json(view.past.calibration.prompt, view.past.uncalibrated_prompt_tps)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> explain(const PlanView& view, const std::string& what) {
  if (what == "mode") return explain_mode(view);
  if (what == "threads") return explain_threads(view);
  if (what == "ram" || what == "nvme" || what == "gpu") return explain_tier(view, what);
  const std::optional<TensorId> id = view.input.index.find(what);
  if (!id.has_value()) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("--explain {}: neither a tensor nor a word", what))
        .suggest("mode, threads, ram, nvme, gpu, or a name that `hypura inspect MODEL --tensors` "
                 "lists");
  }
  const TensorInfo& tensor = view.input.index.tensor(*id);
  return fmt::format("{} ({}, {}, {})\n  {}\n", printable(tensor.name), to_string(tensor.role),
                     type_name(tensor.type), format_bytes(tensor.bytes),
                     home_text(view, id->value) + copies_text(view, id->value));
}

}  // namespace hypura::cli
