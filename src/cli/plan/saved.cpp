#include "cli/plan/saved.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/plan/kv_type.h"
#include "cli/plan/machines.h"
#include "cli/terminal.h"
#include "engine/draft_depth.h"

namespace hypura::cli {
namespace {

constexpr uintmax_t kBytesMax = 1 << 20;
constexpr const char* kLookup = "lookup";

Status check_options(const RunOptions& run) {
  const EngineOptions& options = run.engine;
  const char* other = nullptr;
  if (options.ram_budget.is_explicit()) other = "--ram-budget";
  if (options.gpu_budget.kind != GpuBudget::Kind::automatic) other = "--gpu-budget";
  if (options.mode != Mode::automatic) other = "--mode";
  if (options.params.n_ctx != 0) other = "--ctx";
  if (options.params.n_ubatch != common_params().n_ubatch) other = "-ub";
  if (options.draft.kind != DraftOptions::Kind::none) other = "--draft";
  if (options.fast_prompt) other = "--fast-prompt";
  const common_params usual{};
  if (options.params.cache_type_k != usual.cache_type_k) other = "-ctk";
  if (options.params.cache_type_v != usual.cache_type_v) other = "-ctv";
  if (run.kv_type_auto) other = "--kv-type";
  if (other == nullptr) return Status();
  return Status(StatusCode::invalid_argument,
                fmt::format("--plan and {} exclude each other", other))
      .because("the plan decides it")
      .suggest(fmt::format("hypura plan MODEL {} ... --save FILE", other));
}

Status take_kv_types(const SavedPlan& plan, common_params& params) {
  params.cache_type_k = kv_type_of(plan.kv_type_k);
  params.cache_type_v = kv_type_of(plan.kv_type_v);
  for (const ggml_type type : {params.cache_type_k, params.cache_type_v}) {
    if (type != GGML_TYPE_COUNT) continue;
    return Status(StatusCode::invalid_argument,
                  fmt::format("the plan's KV types {} and {}: no such type", plan.kv_type_k,
                              plan.kv_type_v));
  }
  return Status();
}

DraftOptions draft_of(const SavedPlan& plan) {
  DraftOptions draft;
  if (plan.draft.empty()) return draft;
  draft.kind = plan.draft == kLookup ? DraftOptions::Kind::lookup : DraftOptions::Kind::model;
  if (draft.kind == DraftOptions::Kind::model) draft.path = plan.draft;
  draft.depth = static_cast<int>(std::min<uint32_t>(plan.draft_depth, kDraftDepthAsked));
  return draft;
}

// Another machine's count may be more than this one has cores.
void take_threads(const ThreadCounts& counts, EngineOptions& options) {
  if (options.choose_threads && counts.token > 0) {
    options.params.cpuparams.n_threads = counts.token;
    options.choose_threads = false;
  }
  if (options.choose_threads_batch && counts.batch > 0) {
    options.params.cpuparams_batch.n_threads = counts.batch;
    options.choose_threads_batch = false;
  }
}

}  // namespace

SavedPlan to_save(const PlanInput& input, const Plan& plan, const EngineOptions& options) {
  SavedPlan saved = saved_plan(input, plan);
  saved.kv_type_k = kv_type_text(options.params.cache_type_k);
  saved.kv_type_v = kv_type_text(options.params.cache_type_v);
  saved.fast_prompt = options.fast_prompt;
  saved.draft_depth = static_cast<uint32_t>(options.draft.depth);
  if (options.draft.kind == DraftOptions::Kind::lookup) saved.draft = kLookup;
  if (options.draft.kind == DraftOptions::Kind::model) saved.draft = options.draft.path;
  return saved;
}

Result<SavedPlan> read_plan(const std::string& path) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) return Status(StatusCode::failed, "cannot read " + path).because(error.message());
  if (bytes > kBytesMax) {
    return Status(StatusCode::invalid_argument, fmt::format("{}: a plan of {} bytes", path, bytes));
  }
  std::ifstream file(path, std::ios::binary);
  Result<SavedPlan> plan = parse_plan(std::string{std::istreambuf_iterator<char>(file), {}});
  if (plan.ok()) return plan;
  return Status(plan.status().code(), path + ": " + plan.status().message())
      .suggest(plan.status().hint());
}

Status carry_out(const std::string& path, RunOptions& run) {
  if (Status status = check_options(run); !status.ok()) return status;
  EngineOptions& options = run.engine;
  const Result<SavedPlan> plan = read_plan(path);
  if (!plan.ok()) return plan.status();
  const Result<ModelIndex> index = ModelIndex::open(options.model_path);
  if (!index.ok()) return index.status();
  if (Status status = check_model(*plan, *index); !status.ok()) return status;
  options.params.n_ctx = static_cast<int32_t>(plan->context);
  options.params.n_ubatch = static_cast<int32_t>(plan->micro_batch);
  options.micro_batch_most = 0;
  if (Status status = take_kv_types(*plan, options.params); !status.ok()) return status;
  options.gpu_budget = {.kind = plan->gpu_budget_bytes > 0 ? GpuBudget::Kind::bytes
                                                           : GpuBudget::Kind::none,
                        .bytes = plan->gpu_budget_bytes};
  options.gpu_takes_experts = plan->gpu_takes_experts;
  options.gpu_takes_batches = plan->gpu_takes_batches;
  options.draft = draft_of(*plan);
  options.fast_prompt = plan->fast_prompt;
  const std::optional<MachineProfile> here = known_machine(options.model_path);
  const std::string name = !here ? "" : here->name.empty() ? here->cpu : here->name;
  if (name == plan->machine) {
    take_threads(plan->threads, options);
  } else if (!name.empty()) {
    write_note(fmt::format("note: the plan was made for {}, this is {}\n", plan->machine, name));
  }
  // Whether the page cache holds the file is known only now.
  if (plan->mode == Mode::mapped) return Status();
  options.ram_budget = {.kind = RamBudget::Kind::bytes, .bytes = plan->budget_bytes};
  options.mode = Mode::resident;
  if (streams(plan->mode)) {
    options.mode = index->info().expert_count > 0 ? Mode::experts : Mode::dense;
    options.choice = plan->choice;
  }
  return Status();
}

}  // namespace hypura::cli
