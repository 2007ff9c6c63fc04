#include "cli/plan/saved.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/plan/machines.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

constexpr uintmax_t kBytesMax = 1 << 20;

Status check_options(const EngineOptions& options) {
  const char* other = nullptr;
  if (options.ram_budget.is_explicit()) other = "--ram-budget";
  if (options.mode != Mode::automatic) other = "--mode";
  if (options.params.n_ctx != 0) other = "--ctx";
  if (options.params.n_ubatch != common_params().n_ubatch) other = "-ub";
  if (options.draft.kind != DraftOptions::Kind::none) other = "--draft";
  if (options.fast_prompt) other = "--fast-prompt";
  if (other == nullptr) return Status();
  return Status(StatusCode::invalid_argument,
                fmt::format("--plan and {} exclude each other", other))
      .because("the plan decides it")
      .suggest(fmt::format("hypura plan MODEL {} ... --save FILE", other));
}

}  // namespace

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

Status carry_out(const std::string& path, EngineOptions& options) {
  if (Status status = check_options(options); !status.ok()) return status;
  const Result<SavedPlan> plan = read_plan(path);
  if (!plan.ok()) return plan.status();
  const Result<ModelIndex> index = ModelIndex::open(options.model_path);
  if (!index.ok()) return index.status();
  if (Status status = check_model(*plan, *index); !status.ok()) return status;
  options.params.n_ctx = static_cast<int32_t>(plan->context);
  options.params.n_ubatch = static_cast<int32_t>(plan->micro_batch);
  // Whether the page cache holds the file is known only now.
  if (plan->mode == Mode::mapped) return Status();
  options.ram_budget = {.kind = RamBudget::Kind::bytes, .bytes = plan->budget_bytes};
  options.mode = Mode::resident;
  if (streams(plan->mode)) {
    options.mode = index->info().expert_count > 0 ? Mode::experts : Mode::dense;
    options.choice = plan->choice;
  }
  const std::optional<MachineProfile> here = known_machine(options.model_path);
  const std::string name = !here ? "" : here->name.empty() ? here->cpu : here->name;
  if (!name.empty() && name != plan->machine) {
    write_note(fmt::format("note: the plan was made for {}, this is {}\n", plan->machine, name));
  }
  return Status();
}

}  // namespace hypura::cli
