// hypura_compare_gpu MODEL: on this machine's GPU, compares the logits of what streams with those
// of the same kernels where nothing does, bit for bit: experts that are copied there with the whole
// model there, what is below it with the same below it from RAM. And says how far those of the
// prompt are from the CPU's, as the normalised mean square error. Several GPUs get no copies, and
// no batches of what is below them.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "backend/gpu/devices.h"
#include "engine/llama_log.h"
#include "golden/golden.h"
#include "golden/gpu_budget.h"

namespace hypura::golden {
namespace {

constexpr RamBudget kLeast{.kind = RamBudget::Kind::minimum};
// GPUs compute batches from 32 tokens on; the last one is a CPU's.
constexpr int kMicroBatch = 64;

// Of the prompt's logits: what is generated may part.
double error(const Trace& exact, const Trace& trace, size_t steps) {
  double difference = 0;
  double all = 0;
  for (size_t step = 0; step < steps; ++step) {
    for (size_t i = 0; i < exact.logits[step].size(); ++i) {
      const double value = exact.logits[step][i];
      difference += (trace.logits[step][i] - value) * (trace.logits[step][i] - value);
      all += value * value;
    }
  }
  return difference / all;
}

class Comparison {
 public:
  explicit Comparison(const std::string& model)
      : script_{.model = model, .micro_batch = kMicroBatch} {}

  // Nothing where all is equal, or else what is not.
  std::string run();

 private:
  std::string trace(const EngineOptions& options, Trace& trace, PlanSummary& plan);
  std::string compare(const std::string& what, const EngineOptions& options,
                      const Trace& reference);
  void tell(const std::string& what, const Trace& trace) const;
  std::string compare_copies(const Trace& reference);
  std::string compare_below(double share, bool batches);
  EngineOptions with_gpu(EngineOptions options, uint64_t bytes) const;
  RamBudget ram(double share) const {
    const double bytes = share * static_cast<double>(all_.weight_bytes);
    return {.kind = RamBudget::Kind::bytes,
            .bytes = all_.fixed_bytes + static_cast<uint64_t>(bytes)};
  }

  Script script_;
  Trace cpu_;
  PlanSummary all_;  // with everything on the GPU
};

std::string Comparison::trace(const EngineOptions& options, Trace& trace, PlanSummary& plan) {
  auto engine = Engine::open(options);
  if (!engine.ok()) return engine.status().to_string();
  plan = (*engine)->plan();
  auto computed = run_script(**engine, script_);
  if (!computed.ok()) return computed.status().to_string();
  trace = *std::move(computed);
  return std::string();
}

std::string Comparison::compare(const std::string& what, const EngineOptions& options,
                                const Trace& reference) {
  Trace streamed;
  PlanSummary plan;
  if (std::string text = trace(options, streamed, plan); !text.empty()) return what + ": " + text;
  if (options.gpu_takes_experts.value_or(false) != plan.gpu.experts.has_value() ||
      options.gpu_takes_batches.value_or(false) != plan.gpu.batches.has_value()) {
    return what + ": another plan";
  }
  const std::string text = difference(reference, streamed);
  if (!text.empty()) return what + ": " + text;
  tell(what + ": equal", streamed);
  return std::string();
}

void Comparison::tell(const std::string& what, const Trace& trace) const {
  const size_t steps = static_cast<size_t>(script_.prompt_tokens);
  fmt::print("{}, {:.1e} from the CPU\n", what, error(cpu_, trace, steps));
  std::fflush(stdout);
}

EngineOptions Comparison::with_gpu(EngineOptions options, uint64_t bytes) const {
  options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = bytes};
  options.gpu_takes_experts = false;
  options.gpu_takes_batches = false;
  return options;
}

std::string Comparison::compare_copies(const Trace& reference) {
  for (const double share : {0.9, 0.75}) {
    for (const auto& [budget, where] : {std::pair(kLeast, "drive"), std::pair(ram(1.2), "RAM")}) {
      EngineOptions options =
          with_gpu(streamed_options(script_, budget), gpu_bytes(all_, share));
      options.mode = Mode::automatic;
      options.gpu_takes_experts = true;
      const std::string what =
          fmt::format("{:.0f} % on the GPU, experts copied there from {}", 100 * share, where);
      if (std::string text = compare(what, options, reference); !text.empty()) return text;
    }
  }
  return std::string();
}

std::string Comparison::compare_below(double share, bool batches) {
  uint64_t bytes = gpu_bytes(all_, share);
  if (batches) bytes += batch_bytes(all_, *ModelIndex::open(script_.model));
  Trace reference;
  const std::string below = fmt::format("{:.0f} % on the GPU, {}the rest ", 100 * share,
                                        batches ? "and batches of " : "");
  for (const auto& [budget, where] : {std::pair(ram(1.2), "in RAM"), std::pair(ram(0.4), "in part"),
                                      std::pair(kLeast, "from the drive")}) {
    EngineOptions options = with_gpu(streamed_options(script_, budget), bytes);
    options.gpu_takes_batches = batches;
    if (reference.logits.empty()) {
      PlanSummary plan;
      if (std::string text = trace(options, reference, plan); !text.empty()) return below + text;
    }
    if (std::string text = compare(below + where, options, reference); !text.empty()) return text;
  }
  return std::string();
}

std::string Comparison::run() {
  quiet_llama_log(false);
  const size_t gpus = discrete_gpus().size();
  if (gpus == 0) return "needs a GPU with memory of its own";
  EngineOptions cpu = resident_options(script_);
  cpu.gpu_budget = {.kind = GpuBudget::Kind::none};
  if (std::string text = trace(cpu, cpu_, all_); !text.empty()) return text;
  Trace reference;
  std::string text = trace(resident_options(script_), reference, all_);
  if (!text.empty()) return "all on the GPU: " + text;
  tell("all on the GPU", reference);
  const Result<ModelIndex> index = ModelIndex::open(script_.model);
  if (index->info().expert_count > 0 && gpus == 1) text = compare_copies(reference);
  for (const double share : {0.6, 0.3}) {
    for (const bool batches : {false, true}) {
      if (text.empty() && (gpus == 1 || !batches)) text = compare_below(share, batches);
    }
  }
  return text;
}

}  // namespace
}  // namespace hypura::golden

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string result = hypura::golden::Comparison(argv[1]).run();
  std::puts(result.empty() ? "all equal" : result.c_str());
  return result.empty() ? 0 : 1;
}
