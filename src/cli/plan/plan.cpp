#include "cli/plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "cli/command_line.h"
#include "cli/output_file.h"
#include "cli/plan/fetch_header.h"
#include "cli/plan/history_file.h"
#include "cli/plan/kv_type.h"
#include "cli/plan/machines.h"
#include "cli/plan/saved.h"
#include "cli/plan/view.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "engine/heat_file.h"
#include "engine/llama_log.h"
#include "engine/machine_probe.h"
#include "machine/profile_json.h"
#include "model/header_file.h"
#include "plan/gpu_share.h"
#include "plan/plan_file.h"
#include "plan/what_if.h"

namespace hypura::cli {
namespace {

struct Words {
  std::string machine;
  std::string explain;
  std::string save;
  std::string what_if;
  bool no_history = false;
};

RunCommand command_of(bool estimating, Words& words) {
  return {
      .name = estimating ? "estimate" : "plan",
      .description =
          estimating ? "Says what a machine that is not here would do with a model, and how fast."
                     : "Says what a run would do on this machine, and how fast, without running. "
                       "`hypura plan --diff A B` compares two saved plans.",
      .describe = [&words, estimating](CommandLine& line) {
        if (!estimating) line.flag("--no-history", words.no_history, kNoHistoryHelp);
        line.option("--machine", words.machine,
                    estimating ? "a machine by name (listed below), or the file of its profile"
                               : "a machine by name (hypura estimate --help lists them), or the "
                                 "file of its profile (default: this one)",
                    "NAME|FILE");
        line.option("--explain", words.explain,
                    "why: mode, threads, ram, nvme, gpu, or a tensor's name",
                    "mode|threads|ram|nvme|gpu|TENSOR");
        line.option("--save", words.save, "write the plan to a file, for run --plan", "FILE");
        line.option("--what-if", words.what_if, "also: with this changed, as in +16G-ram,7GB/s",
                    "CHANGES");
      }};
}

// The model's file: itself, or a hollow one made from a saved header or an address.
struct OpenedModel {
  std::string path;
  std::optional<HollowModel> hollow;
};

Result<OpenedModel> open_any(const std::string& model) {
  const bool url = is_url(model);
  if (!url && !is_header_file(model)) return OpenedModel{.path = model};
  const Result<ModelHeader> header = url ? fetch_header(model) : read_header_file(model);
  if (!header.ok()) return header.status();
  Result<HollowModel> hollow = HollowModel::create(*header);
  if (!hollow.ok()) return hollow.status();
  OpenedModel opened{.path = hollow->path()};
  opened.hollow.emplace(*std::move(hollow));
  return opened;
}

// What `run` takes and a plan does not depend on, or cannot say yet.
Status check_options(const RunOptions& options) {
  const EngineOptions& engine = options.engine;
  const auto refuse = [](const char* option, const char* why) {
    return Status(StatusCode::invalid_argument, fmt::format("{} is refused", option)).because(why);
  };
  if (!engine.params.prompt.empty() || options.interactive || options.chat) {
    return refuse("a prompt", "a plan generates nothing");
  }
  return Status();
}

// A machine that was never profiled is measured in a second and a half, the drive and one family of
// weights only.
Result<MachineProfile> machine_for(const Words& words, const std::string& model, bool estimating) {
  if (!words.machine.empty()) return find_machine(words.machine);
  if (estimating) {
    return Status(StatusCode::invalid_argument, "--machine is missing")
        .suggest(
            fmt::format("--machine NAME, one of {}", fmt::join(shipped_machine_names(), ", ")));
  }
  if (std::optional<MachineProfile> known = known_machine(model)) return *std::move(known);
  if (!is_url(model) && !is_header_file(model)) {
    // A model that cannot be planned is found before a second goes into measuring.
    const Result<ModelIndex> index = ModelIndex::open(model);
    if (!index.ok()) return index.status();
  }
  write_note("note: this machine was measured in a second; `hypura profile MODEL` does it well\n");
  return quick_profile({.file = model});
}

uint64_t budget_of(const RunOptions& options, const MeasuredModel& measured, bool here,
                   const PlanInput& input) {
  const RamBudget& asked = options.engine.ram_budget;
  if (here && asked.kind != RamBudget::Kind::minimum) return measured.budget_bytes;
  return resolve(asked,
                 {.weights = input.index.info().weight_bytes,
                  .automatic = automatic_budget(input.machine, input.demand.process_base_bytes),
                  .minimum = least_budget(input)});
}

// Past runs correct the plan's speeds. What it decides is left alone.
void correct(const PlanInput& input, Plan& plan, PastView& past) {
  Prediction& prediction = plan.prediction;
  past.uncalibrated_decode_tps = prediction.decode_tps.middle;
  past.uncalibrated_prompt_tps = prediction.prompt_tps.middle;
  past.calibration = calibrate(past.runs,
                               {.profile = past.profile,
                                .model = metadata_hash(input.index),
                                .mode = plan.mode,
                                .decode = bottleneck_of(prediction.token),
                                .prompt = bottleneck_of(prediction.prompt)},
                               {.decode_tps = past.uncalibrated_decode_tps,
                                .prompt_tps = past.uncalibrated_prompt_tps});
  apply(past.calibration, prediction);
}

Status what_if(const PlanView& view, const std::string& text, std::string& answer) {
  const PlanInput& input = view.input;
  const Result<std::vector<WhatIf>> changes = parse_what_if(text);
  if (!changes.ok()) return changes.status();
  MachineProfile machine = input.machine;
  uint64_t budget = input.budget_bytes;
  apply(*changes, machine, budget);
  const PlanInput changed{.index = input.index,
                          .demand = input.demand,
                          .machine = machine,
                          .budget_bytes = budget,
                          .elastic = input.elastic,
                          .mode = input.mode,
                          .gpu_bytes = input.gpu_bytes,
                          .may_copy_experts = input.may_copy_experts,
                          .heat = input.heat,
                          .work = input.work};
  Result<Plan> plan = make_plan(changed);
  if (!plan.ok()) return plan.status();
  PastView past = view.past;
  correct(changed, *plan, past);
  answer = plan_table({.input = changed,
                       .plan = *plan,
                       .options = view.options,
                       .threads = view.threads,
                       .past = past});
  return Status();
}

Status show(const PlanView& view, const RunOptions& options, const Words& words) {
  if (!words.save.empty()) {
    const std::string text = to_json(to_save(view.input, view.plan, view.options));
    if (Status status = write_file(words.save, text); !status.ok()) return status;
  }
  std::string answer;
  if (options.json) {
    answer = plan_json(view) + "\n";
  } else if (!words.explain.empty()) {
    Result<std::string> explained = explain(view, words.explain);
    if (!explained.ok()) return explained.status();
    answer = *std::move(explained);
  } else {
    answer = plan_table(view);
  }
  if (!words.what_if.empty()) {
    std::string changed;
    if (Status status = what_if(view, words.what_if, changed); !status.ok()) return status;
    answer += fmt::format("\nwith {}:\n\n{}", words.what_if, changed);
  }
  return write_answer(answer) ? Status() : write_failure();
}

Status diff(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) {
    return Status(StatusCode::invalid_argument, "--diff takes two saved plans")
        .suggest("hypura plan --diff A B");
  }
  const Result<SavedPlan> before = read_plan(arguments[1]);
  if (!before.ok()) return before.status();
  const Result<SavedPlan> after = read_plan(arguments[2]);
  if (!after.ok()) return after.status();
  const std::vector<std::string> lines = differences(*before, *after);
  const std::string text =
      lines.empty() ? std::string("no difference\n") : fmt::format("{}\n", fmt::join(lines, "\n"));
  return write_answer(text) ? Status() : write_failure();
}

Status make(const std::vector<std::string>& arguments, bool estimating) {
  const double start = now_seconds();
  Words words;
  const RunCommand command = command_of(estimating, words);
  Result<RunOptions> parsed = parse_run_options(arguments, command);
  if (!parsed.ok()) return parsed.status();
  RunOptions options = *std::move(parsed);
  if (options.help) {
    const std::string machines =
        fmt::format("\nMachines: {}\n", fmt::join(shipped_machine_names(), ", "));
    return write_answer(run_help(command) + machines) ? Status() : write_failure();
  }
  if (Status status = check_options(options); !status.ok()) return status;
  if (options.json && (!words.explain.empty() || !words.what_if.empty())) {
    return Status(StatusCode::invalid_argument, "--json goes with neither --explain nor --what-if");
  }
  if (Status status = check_output(words.save, "--save"); !status.ok()) return status;
  quiet_llama_log(false);
  const bool here = words.machine.empty();
  const Result<MachineProfile> machine = machine_for(words, options.engine.model_path, estimating);
  if (!machine.ok()) return machine.status();
  Result<OpenedModel> model = open_any(options.engine.model_path);
  if (!model.ok()) return model.status();
  EngineOptions engine = options.engine;
  engine.model_path = model->path;
  if (here) engine.machine = *machine;
  Result<MeasuredModel> measured = Engine::measure_model(engine);
  if (!measured.ok()) return measured.status();
  if (options.kv_type_auto) {
    const PlanInput before{
        .index = measured->index, .demand = measured->demand, .machine = *machine};
    const uint64_t budget = budget_of(options, *measured, here, before);
    if (Status status = settle_kv_type(engine, budget, *measured); !status.ok()) return status;
  }
  // All that were profiled.
  if (!here) measured->demand.threads = measured->demand.threads_batch = 0;

  const Result<std::vector<uint64_t>> gpu =
      gpu_bytes(*machine, engine.gpu_budget, measured->demand);
  if (!gpu.ok()) return gpu.status();
  PlanInput input{.index = measured->index,
                  .demand = measured->demand,
                  .machine = *machine,
                  .elastic = !options.engine.ram_budget.is_explicit(),
                  .mode = options.engine.mode,
                  .gpu_bytes = *gpu,
                  .may_copy_experts = !options.engine.exact,
                  .copies_routers = guesses_by_routers(options.engine.prefetch),
                  .heat = read_heat(options.engine.statistics_folder, measured->index),
                  .work = {.prefetch = options.engine.prefetch != PrefetchMode::off}};
  input.budget_bytes = budget_of(options, *measured, here, input);
  if (here && !options.engine.ram_budget.is_explicit()) {
    input.available_bytes = measured->available_bytes;
  }
  // As `run` does: not for the least, nor on a machine that was measured in a second.
  const bool known = !here || known_machine(engine.model_path).has_value();
  if (sum(*gpu) > 0 && known && options.engine.ram_budget.kind != RamBudget::Kind::minimum) {
    measured->demand = with_micro_batch(input, engine.micro_batch_most);
    input.gpu_bytes = *gpu_bytes(*machine, engine.gpu_budget, measured->demand);
  }
  Result<Plan> plan = make_plan(input);
  if (!plan.ok()) return plan.status();
  const GpuBudget& asked = engine.gpu_budget;
  if (asked.kind == GpuBudget::Kind::bytes && plan->gpu.on_gpu.empty()) {
    return holds_no_layer({.budget_bytes = asked.bytes,
                           .gpus = input.gpu_bytes.size(),
                           .compute_bytes = input.demand.gpu_activations(),
                           .kv_bytes = input.demand.kv_bytes});
  }
  const Plan uncorrected = *plan;
  PastView past{.profile = profile_id(*machine)};
  if (here && !words.no_history) past.runs = past_runs(history_path());
  correct(input, *plan, past);
  const double seconds = now_seconds() - start;
  return show({.input = input,
               .plan = *plan,
               .options = engine,
               .threads = measured->threads,
               .suggestions = suggestions(input, uncorrected, past.calibration),
               .seconds = seconds,
               .past = past},
              options, words);
}

}  // namespace

CommandDescription describe_plan() {
  Words words;
  return describe(command_of(false, words));
}

CommandDescription describe_estimate() {
  Words words;
  return describe(command_of(true, words));
}

Status plan(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments.front() == "--diff") return diff(arguments);
  return make(arguments, false);
}

Status estimate(const std::vector<std::string>& arguments) { return make(arguments, true); }

}  // namespace hypura::cli
