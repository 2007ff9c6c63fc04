#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/gpu_words.h"
#include "cli/plan/history_words.h"
#include "engine/numerics.h"
#include "machine/memory.h"

namespace hypura::cli {
namespace {

// nlohmann's map keeps keys sorted; a report reads better in the order it is written.
using Json = nlohmann::ordered_json;

double rate(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

double percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// What a GPU did with experts that are copied to it; nothing where none are.
GpuWalkStats gpu_walk(const EngineStats& before, const EngineStats& after) {
  const GpuWalkStats from = before.gpu.value_or(GpuWalkStats{});
  const GpuWalkStats to = after.gpu.value_or(GpuWalkStats{});
  return {.hits = to.hits - from.hits,
          .misses = to.misses - from.misses,
          .copied_bytes = to.copied_bytes - from.copied_bytes,
          .refused = to.refused};
}

// Walking the graph: neither in kernels nor waiting for the drive.
double host_seconds(const EngineStats& before, const EngineStats& after) {
  const auto host_ns = [](const EngineStats& stats) {
    return static_cast<double>(stats.walk.total_ns) - static_cast<double>(stats.walk.compute_ns) -
           static_cast<double>(stats.residency.stall_ns);
  };
  return (host_ns(after) - host_ns(before)) * 1e-9;
}

// Figures of the answer alone, without loading.
struct Derived {
  double prefill_tps = 0;
  double decode_tps = 0;
  double seconds = 0;
  uint64_t bytes_read = 0;
  double bytes_per_token = 0;
  double stall_seconds = 0;
  double host_seconds = 0;
  uint64_t expert_uses = 0;  // of those that are on the drive
  double expert_hit_rate = 0;
  GpuWalkStats gpu;
};

Derived derive(const RunReport& report) {
  const Answer& answer = report.answer;
  const ResidencyStats& before = report.loaded.residency;
  const ResidencyStats& after = report.finished.residency;
  Derived derived;
  derived.prefill_tps = rate(static_cast<double>(answer.prompt_tokens), answer.prompt_seconds);
  if (answer.tokens.size() > 1) {
    derived.decode_tps =
        rate(static_cast<double>(answer.tokens.size() - 1), answer.decode_seconds);
  }
  derived.seconds = answer.first_token_seconds + answer.decode_seconds;
  derived.bytes_read = after.bytes_read - before.bytes_read;
  const size_t steps = answer.tokens.size() + answer.prompt_tokens;
  derived.bytes_per_token =
      steps == 0 ? 0 : static_cast<double>(derived.bytes_read) / static_cast<double>(steps);
  derived.stall_seconds = static_cast<double>(after.stall_ns - before.stall_ns) * 1e-9;
  derived.host_seconds = host_seconds(report.loaded, report.finished);
  derived.expert_uses = after.expert_hits - before.expert_hits + after.expert_misses -
                        before.expert_misses;
  derived.expert_hit_rate = expert_hit_rate(report.loaded, report.finished);
  derived.gpu = gpu_walk(report.loaded, report.finished);
  return derived;
}

// What the tokens behind the first took: no prompt, no filling of an empty cache by it.
Json decode_json(const RunReport& report, bool routes) {
  const Answer& answer = report.answer;
  if (answer.tokens.size() < 2) {
    return {{"steps", 0}, {"seconds", 0.0}, {"bytes_read", 0}, {"stall_seconds", 0.0},
            {"host_seconds", 0.0}, {"copied_bytes", 0}, {"expert_hit_rate", nullptr}};
  }
  const ResidencyStats& before = answer.first_token_stats.residency;
  const ResidencyStats& after = report.finished.residency;
  const double host = host_seconds(answer.first_token_stats, report.finished);
  return {
      {"steps", answer.tokens.size() - 1},
      {"seconds", answer.decode_seconds},
      {"bytes_read", after.bytes_read - before.bytes_read},
      {"stall_seconds", static_cast<double>(after.stall_ns - before.stall_ns) * 1e-9},
      {"host_seconds", host},
      {"copied_bytes", gpu_walk(answer.first_token_stats, report.finished).copied_bytes},
      {"expert_hit_rate",
       routes ? Json(expert_hit_rate(answer.first_token_stats, report.finished)) : Json(nullptr)},
  };
}

// Null without a draft.
Json draft_json(const Engine& engine, const DraftStats& draft) {
  const DraftOptions& options = engine.draft_options();
  if (options.kind == DraftOptions::Kind::none) return nullptr;
  const double passes = static_cast<double>(draft.passes);
  const double drafted = static_cast<double>(draft.drafted);
  return {
      {"model", options.kind == DraftOptions::Kind::lookup ? "lookup" : options.path},
      {"passes", draft.passes},
      {"drafted", draft.drafted},
      {"accepted", draft.accepted},
      {"acceptance", rate(static_cast<double>(draft.accepted), drafted)},
      {"mean_depth", rate(drafted, passes)},
  };
}

Json known(double value) { return value > 0 ? Json(value) : Json(nullptr); }

// Null where the machine has not been profiled (`hypura profile`).
void add_prediction(Json& json, const RunReport& report, const Derived& derived) {
  const RunPrediction prediction = report.prediction.value_or(RunPrediction{});
  const double token_seconds = rate(1, derived.decode_tps);
  json["io_roofline_gbps"] = known(prediction.drive_gbps);
  json["io_efficiency"] = known(rate(prediction.bound_seconds, token_seconds));
  json["bound_seconds"] = known(prediction.bound_seconds);
  json["predicted_decode_tps"] = known(prediction.decode_tps.middle);
  json["predicted_prefill_tps"] = known(prediction.prompt_tps.middle);
}

// Null where there is no prediction. The record is what the history holds, or would hold.
Json past_json(const RunReport& report) {
  if (!report.prediction.has_value()) return nullptr;
  const RunPrediction& prediction = *report.prediction;
  const Calibration& calibration = prediction.calibration;
  return {
      {"decode", correction_json(calibration.decode, prediction.uncalibrated_decode_tps)},
      {"prefill", correction_json(calibration.prompt, prediction.uncalibrated_prompt_tps)},
      {"record", report.record ? Json::parse(to_json(*report.record)) : Json(nullptr)},
      {"kept", report.kept},
  };
}

// Null where the budget does not follow the machine's memory.
Json elastic_json(const std::optional<ElasticStats>& elastic) {
  if (!elastic) return nullptr;
  return {
      {"given_back_bytes", elastic->given_back_bytes},
      {"taken_back_bytes", elastic->taken_back_bytes},
      {"cache_bytes_most", elastic->cache_most},
      {"cache_bytes_least", elastic->cache_least},
      {"cache_bytes_last", elastic->cache_last},
      {"steps", elastic->steps},
      {"longest_step_seconds", static_cast<double>(elastic->longest_step_ns) * 1e-9},
      {"looks", elastic->looks},
      {"look_seconds", static_cast<double>(elastic->look_ns) * 1e-9},
  };
}

std::string elastic_text(const std::optional<ElasticStats>& elastic) {
  if (!elastic || elastic->steps == 0) return std::string();
  return fmt::format("; gave back {} to others, took back {}",
                     format_bytes(elastic->given_back_bytes),
                     format_bytes(elastic->taken_back_bytes));
}

// Null where nothing lies there.
Json gpu_json(const Engine& engine, const GpuWalkStats& walk) {
  const GpuSummary& gpu = engine.plan().gpu;
  if (gpu.weight_bytes == 0) return nullptr;
  const GpuShare::Experts experts = gpu.experts.value_or(GpuShare::Experts{});
  const GpuShare::Batches batches = gpu.batches.value_or(GpuShare::Batches{});
  return {
      {"names", gpu.names},
      {"budget_bytes", gpu.budget_bytes},
      {"layers", gpu.layers},
      {"weight_bytes", gpu.weight_bytes},
      {"kv_bytes", gpu.kv_bytes},
      {"parts", parts_json(gpu.parts)},
      {"compute_bytes", gpu.compute_bytes + batches.compute_bytes},
      {"cache_bytes", experts.cache_bytes},
      {"cache_slots", gpu.copies_experts() ? experts.slots[experts.first().value] : 0},
      {"place_bytes", std::max(experts.place_bytes, batches.place_bytes)},
      {"places", std::max(experts.places, batches.places)},
      {"expert_hits", walk.hits},
      {"expert_misses", walk.misses},
      {"copied_bytes", walk.copied_bytes},
      {"unified", gpu.unified},
      {"shrunk", gpu.shrunk || walk.refused},
  };
}

std::string experts_text(const ModelInfo& info) {
  if (info.expert_count == 0) return std::string();
  return fmt::format(", {} of {} experts a token", info.expert_used_count, info.expert_count);
}

}  // namespace

double expert_hit_rate(const EngineStats& before, const EngineStats& after) {
  const uint64_t hits = after.residency.expert_hits - before.residency.expert_hits +
                        gpu_walk(before, after).hits;
  const uint64_t misses = after.residency.expert_misses - before.residency.expert_misses;
  return rate(static_cast<double>(hits), static_cast<double>(hits + misses));
}

std::string plan_text(const Engine& engine) {
  const PlanSummary& plan = engine.plan();
  const ModelInfo& info = engine.index().info();
  std::string text = fmt::format(
      "{} ({}, {}{}), {} of weights\n", info.name.empty() ? "model" : info.name, info.architecture,
      info.quantization, experts_text(info), format_bytes(plan.weight_bytes));
  const uint32_t context = llama_n_ctx(engine.context());
  text += fmt::format("mode {}, context {}", to_string(plan.mode), context);
  if (info.context_length > context) {
    text += fmt::format(" of {} (--ctx for more)", info.context_length);
  } else if (info.context_length > 0 && info.context_length < context) {
    text += fmt::format(" (trained for {}: expect nonsense beyond)", info.context_length);
  }
  text += '\n';
  const auto row = [&](const std::string& tier, uint64_t bytes, const std::string& what) {
    text += fmt::format("  {:<5} {:>10}  {}\n", tier, format_bytes(bytes), what);
  };
  if (plan.gpu.weight_bytes > 0) {
    row("GPU", plan.gpu.weight_bytes,
        fmt::format("weights on {} ({:.0f} % of the model)", plan.gpu.names,
                    percent(plan.gpu.weight_bytes, plan.weight_bytes)));
    row("GPU", plan.gpu.kv_bytes + plan.gpu.compute_bytes,
        fmt::format("KV cache of {} layers {}, activations {}{}", plan.gpu.layers,
                    format_bytes(plan.gpu.kv_bytes), format_bytes(plan.gpu.compute_bytes),
                    plan.gpu.shrunk ? "; less than planned, as its memory is in use" : ""));
    for (size_t i = 0; i < plan.gpu.parts.size(); ++i) {
      row(fmt::format("GPU {}", i), plan.gpu.parts[i].bytes(), part_text(plan.gpu.parts[i]));
    }
  }
  if (plan.gpu.experts.has_value()) {
    const GpuShare::Experts& experts = *plan.gpu.experts;
    if (!plan.gpu.unified) row("GPU", experts.cache_bytes, slots_text(engine.index(), experts));
    row("GPU", experts.places * experts.place_bytes,
        places_text(experts, llama_n_ubatch(engine.context())));
  }
  if (plan.gpu.batches.has_value()) {
    row("GPU", plan.gpu.batches->bytes(),
        places_text(*plan.gpu.batches, llama_n_ubatch(engine.context())));
  }
  row("RAM", plan.pinned_bytes,
      plan.mode == Mode::mapped
          ? std::string("weights, as the file's pages in the system's cache, which just holds them")
          : fmt::format("weights that stay ({:.0f} % of the model)",
                        percent(plan.pinned_bytes, plan.weight_bytes)));
  if (plan.router_copy_bytes > 0) {
    row("RAM", plan.router_copy_bytes, "copies of the GPU's routers, which guess experts ahead");
  }
  if (plan.repacked_bytes > 0) {
    row("RAM", plan.repacked_bytes,
        "of them, repacked for faster prompts: NOT the bits of streaming");
  } else if (plan.fast_prompt) {
    text += fmt::format("  --fast-prompt changes nothing: {} can be repacked\n",
                        plan.mode == Mode::mapped ? "no page of the file"
                                                  : "no weight that stays");
  }
  if (streams(plan.mode)) {
    std::string what = "slots for streamed weights";
    if (plan.expert_slices > 0) {
      what += fmt::format(", {} of {} expert slices ({:.0f} %)", plan.expert_slots,
                          plan.expert_slices, percent(plan.expert_slots, plan.expert_slices));
    }
    row("RAM", plan.cached_bytes, what);
  }
  row("RAM", plan.fixed_bytes - plan.draft_bytes,
      fmt::format("KV cache {}, activations and buffers {}", format_bytes(plan.context.kv_bytes),
                  format_bytes(plan.fixed_bytes - plan.context.kv_bytes - plan.draft_bytes)));
  if (plan.draft_bytes > 0) {
    row("RAM", plan.draft_bytes, fmt::format("draft model {}", engine.draft_options().path));
  }
  if (streams(plan.mode)) {
    row("NVMe", plan.streamed_bytes, "weights read as they are needed");
    text += fmt::format("budget {}, and {} for the program itself\n",
                        format_bytes(plan.budget_bytes), format_bytes(plan.process_base_bytes));
  }
  return text;
}

std::string summary_text(const Engine& engine, const RunReport& report) {
  const Answer& answer = report.answer;
  const Derived derived = derive(report);
  std::string text = fmt::format(
      "{} tokens at {:.1f} tok/s, prompt of {} at {:.1f} tok/s, first token after {:.2f} s, "
      "loaded in {:.2f} s",
      answer.tokens.size(), derived.decode_tps, answer.prompt_tokens, derived.prefill_tps,
      answer.first_token_seconds, report.load_seconds);
  if (streams(engine.plan().mode)) {
    text += fmt::format("; read {} ({} a token, {}), waited {:.2f} s for the drive",
                        format_bytes(derived.bytes_read),
                        format_bytes(static_cast<uint64_t>(derived.bytes_per_token)),
                        report.finished.direct_io ? "direct" : "through the page cache",
                        derived.stall_seconds);
    if (derived.expert_uses > 0) {
      text += fmt::format(", expert hits {:.0f} %", 100 * derived.expert_hit_rate);
    }
    if (report.finished.prefetch.guesses > 0) {
      text += fmt::format(", {:.0f} % of {} guesses used",
                          percent(report.finished.prefetch.used, report.finished.prefetch.guesses),
                          report.finished.prefetch.guesses);
    }
  }
  if (engine.plan().gpu.copies_experts()) {
    text += fmt::format("; copied {} to the GPU, hits there {:.0f} %",
                        format_bytes(derived.gpu.copied_bytes),
                        percent(derived.gpu.hits, derived.gpu.hits + derived.gpu.misses));
  } else if (derived.gpu.copied_bytes > 0) {
    text += fmt::format("; copied {} to the GPU", format_bytes(derived.gpu.copied_bytes));
  }
  if (derived.gpu.refused) text += "; prompts computed by the CPU, as the GPU's memory is in use";
  if (engine.draft_options().kind != DraftOptions::Kind::none) {
    text += fmt::format("; draft {:.0f} % of {} accepted",
                        percent(answer.draft.accepted, answer.draft.drafted), answer.draft.drafted);
  }
  text += elastic_text(report.finished.elastic);
  if (report.prediction.has_value()) {
    const Range& decode = report.prediction->decode_tps;
    const std::string past = past_text(report.prediction->calibration.decode);
    text += fmt::format("; predicted {:.1f} tok/s ({:.1f} to {:.1f}{}{})", decode.middle,
                        decode.low, decode.high, past.empty() ? "" : "; ", past);
    if (report.prediction->prompt_tps.middle > 0) {
      text += fmt::format(", prompt {:.1f}", report.prediction->prompt_tps.middle);
    }
  }
  text += fmt::format("; peak memory {}\n", format_bytes(peak_resident_bytes()));
  return text;
}

std::string run_json(const Engine& engine, const RunReport& report) {
  const PlanSummary& plan = engine.plan();
  const Answer& answer = report.answer;
  const Derived derived = derive(report);
  const Numerics numerics = numerics_of(engine);
  const WalkStats& walk = report.finished.walk;

  Json json;
  json["schema"] = 1;
  json["model"] = engine.index().shards().front().path;
  json["text"] = answer.text;
  json["token_ids"] = answer.tokens;
  json["stop"] = to_string(answer.stop);
  json["prompt_tokens"] = answer.prompt_tokens;
  json["tokens_generated"] = answer.tokens.size();
  json["load_seconds"] = report.load_seconds;
  json["ttft_seconds"] = answer.first_token_seconds;
  json["prefill_tps"] = derived.prefill_tps;
  json["decode_tps"] = derived.decode_tps;
  json["mode"] = to_string(plan.mode);
  json["load_bytes_read"] = report.loaded.residency.bytes_read;
  json["bytes_read"] = derived.bytes_read;
  json["bytes_read_per_token"] = derived.bytes_per_token;
  json["expert_hit_rate"] =
      derived.expert_uses > 0 ? Json(derived.expert_hit_rate) : Json(nullptr);
  json["stall_seconds"] = derived.stall_seconds;
  json["prefetch_guesses"] = report.finished.prefetch.guesses;
  json["prefetch_used"] = report.finished.prefetch.used;
  json["draft"] = draft_json(engine, answer.draft);
  json["decode"] = decode_json(report, derived.expert_uses > 0);
  json["io_gbps"] = rate(static_cast<double>(derived.bytes_read) * 1e-9, derived.seconds);
  add_prediction(json, report, derived);
  json["history"] = past_json(report);
  json["elastic"] = elastic_json(report.finished.elastic);
  json["rss_peak_bytes"] = peak_resident_bytes();
  json["process_base_bytes"] = plan.process_base_bytes;
  json["budgets"] = {
      {"ram_bytes", plan.budget_bytes == 0 ? Json(nullptr) : Json(plan.budget_bytes)},
      {"fixed_bytes", plan.fixed_bytes},
      {"draft_bytes", plan.draft_bytes},
      {"kv_bytes", plan.context.kv_bytes},
      {"compute_bytes", plan.context.compute_bytes},
      {"weight_bytes", plan.weight_bytes},
      {"pinned_bytes", plan.pinned_bytes},
      {"router_copy_bytes", plan.router_copy_bytes},
      {"repacked_bytes", plan.repacked_bytes},
      {"cached_bytes", plan.cached_bytes},
      {"streamed_bytes", plan.streamed_bytes},
      {"expert_slots", plan.expert_slots},
      {"expert_slices", plan.expert_slices},
  };
  json["gpu"] = gpu_json(engine, derived.gpu);
  json["host"] = {
      {"graphs", walk.graphs},
      {"cpu_calls", walk.cpu_calls},
      {"compute_seconds", static_cast<double>(walk.compute_ns) * 1e-9},
      {"graph_seconds", static_cast<double>(walk.total_ns) * 1e-9},
      {"host_seconds", derived.host_seconds},
  };
  json["io"] = {
      {"device", report.finished.device.empty() ? Json(nullptr) : Json(report.finished.device)},
      {"direct", report.finished.direct_io},
  };
  json["numerics"] = {
      {"threads", numerics.threads},
      {"threads_batch", numerics.threads_batch},
      {"batch", numerics.batch},
      {"micro_batch", numerics.micro_batch},
      {"context", numerics.context},
      {"flash_attention", numerics.flash_attention},
      {"type_k", numerics.type_k},
      {"type_v", numerics.type_v},
      {"repack", numerics.repack},
      {"gpu_weight_bytes", numerics.gpu_weight_bytes},
      {"gpu_batches", numerics.gpu_batches},
  };
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hypura::cli
