#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/model_index.h"
#include "plan/planner.h"
#include "plan/threads.h"

namespace hypura {

// A plan kept for later: which model it is for, and what it decided. Placement is a pure function
// of the model, the budget and the choice, so these are enough to carry it out again; what came out
// is kept for people and for --diff.
struct SavedPlan {
  static constexpr int kSchema = 1;

  std::string model_name;
  uint64_t model_bytes = 0;  // of all shards
  uint64_t model_tensors = 0;
  std::string model_metadata;  // metadata_hash()

  std::string machine;
  uint64_t budget_bytes = 0;
  Mode mode = Mode::resident;
  uint32_t context = 0;
  uint32_t micro_batch = 0;
  PlanChoice choice;
  uint64_t gpu_budget_bytes = 0;  // 0: the GPU takes no part
  bool gpu_takes_experts = false;  // that have no room there: they are copied as they are needed
  bool gpu_takes_batches = false;  // of tokens, with what streams below it
  // Beside what placement decides; plans of before had none of these.
  ThreadCounts threads;  // 0: chosen by who carries it out
  std::string kv_type_k = "f16";
  std::string kv_type_v = "f16";
  bool fast_prompt = false;
  std::string draft;  // a model's path, or "lookup"; empty: none
  uint32_t draft_depth = 0;

  uint64_t pinned_bytes = 0;
  uint64_t streamed_bytes = 0;
  uint64_t pool_bytes = 0;
  uint32_t expert_slots = 0;
  double decode_tps = 0;
  double prompt_tps = 0;
  std::string bottleneck;
};

// Tells models apart that have as many tensors and bytes: of names, types, shapes and places.
std::string metadata_hash(const ModelIndex& index);

SavedPlan saved_plan(const PlanInput& input, const Plan& plan);

// Errors: invalid_argument: no such object, another schema, numbers that make no sense.
Result<SavedPlan> parse_plan(std::string_view text);
std::string to_json(const SavedPlan& plan);

// Whether the plan was made for this model. Error: invalid_argument, with what differs.
Status check_model(const SavedPlan& plan, const ModelIndex& index);

// A line for each decision and result that differs, "budget: 3.0 GiB -> 4.0 GiB".
std::vector<std::string> differences(const SavedPlan& before, const SavedPlan& after);

}  // namespace hypura
