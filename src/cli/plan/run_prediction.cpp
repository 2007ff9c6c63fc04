#include "cli/plan/run_prediction.h"

#include <algorithm>

#include "cli/plan/machines.h"
#include "machine/profile_json.h"
#include "plan/bound.h"
#include "plan/plan_file.h"

namespace hypura::cli {

std::optional<RunPrediction> predict_run(const Engine& engine, const std::vector<PastRun>& past,
                                         uint32_t prompt_tokens, uint32_t answer_tokens) {
  const std::optional<MachineProfile> machine = known_machine(engine.index().shards().front().path);
  if (!machine.has_value()) return std::nullopt;
  const PlanSummary& plan = engine.plan();
  // Profiled by a build without GPUs.
  if (!plan.gpu.on_gpu.empty() && machine->gpus.empty()) return std::nullopt;
  const ModelDemand demand{.uses = engine.uses(),
                           .fixed_bytes = plan.fixed_bytes,
                           .kv_bytes = plan.context.kv_bytes,
                           .compute_bytes = plan.context.compute_bytes,
                           .context = llama_n_ctx(engine.context()),
                           .micro_batch = llama_n_ubatch(engine.context()),
                           .threads = llama_n_threads(engine.context()),
                           .threads_batch = llama_n_threads_batch(engine.context()),
                           .graph_nodes = plan.context.graph_nodes};
  const Prediction prediction =
      predict_layout({.index = engine.index(),
                      .demand = demand,
                      .machine = *machine,
                      .budget_bytes = plan.budget_bytes,
                      .heat = plan.gpu.heat,
                      // On average the cache holds the prompt and half of the answer.
                      .work = {.kv_tokens = prompt_tokens + answer_tokens / 2,
                               .prompt_tokens = std::max(1u, prompt_tokens),
                               .cold_tokens = answer_tokens,
                               .cold_tokens_before = prompt_tokens}},
                     engine.layout(),
                     {.on_gpu = plan.gpu.on_gpu,
                      .experts = plan.gpu.experts,
                      .batches = plan.gpu.batches});
  const bool streaming = engine.layout() != nullptr;
  const uint64_t ram_bytes = streaming && plan.budget_bytes > plan.fixed_bytes
                                 ? plan.budget_bytes - plan.fixed_bytes
                                 : plan.ram_weight_bytes();
  const Bound bound = bound_of({.bytes = token_bytes(engine.index()),
                                .memory_bytes = ram_bytes + plan.gpu.own_weight_bytes(),
                                .drive_gbps = machine->drive.sequential_gbps,
                                .compute_seconds = prediction.token.compute_seconds()});
  const RunKind kind{.profile = profile_id(*machine),
                     .model = metadata_hash(engine.index()),
                     .mode = plan.mode,
                     .decode = bottleneck_of(prediction.token),
                     .prompt = bottleneck_of(prediction.prompt)};
  const Calibration calibration = calibrate(past, kind,
                                            {.decode_tps = prediction.decode_tps.middle,
                                             .prompt_tps = prediction.prompt_tps.middle});
  return RunPrediction{.decode_tps = scaled(prediction.decode_tps, calibration.decode.factor),
                       .prompt_tps = scaled(prediction.prompt_tps, calibration.prompt.factor),
                       .bound_seconds = bound.seconds,
                       .drive_gbps = machine->drive.sequential_gbps,
                       .uncalibrated_decode_tps = prediction.decode_tps.middle,
                       .uncalibrated_prompt_tps = prediction.prompt_tps.middle,
                       .kind = kind,
                       .calibration = calibration};
}

}  // namespace hypura::cli
