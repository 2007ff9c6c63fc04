#include "cli/plan/saved.h"

#include <gtest/gtest.h>

#include <string>

#include "base/units.h"
#include "model/gguf_bytes_for_test.h"

namespace hypura::cli {
namespace {

TEST(CarryOut, TheGpusPartIsThePlansDecision) {
  TestDirectory directory;
  RunOptions options;
  options.engine.model_path = directory.write("m.gguf", tiny_moe().build());
  const ModelIndex index = *ModelIndex::open(options.engine.model_path);
  const ModelDemand demand{.context = 64, .micro_batch = 32};
  const MachineProfile machine;
  const PlanInput input{
      .index = index, .demand = demand, .machine = machine, .gpu_bytes = {5 * kMiB}};
  SavedPlan plan = saved_plan(
      input, {.mode = Mode::experts, .budget_bytes = kGiB, .gpu = {.layers = 1}});
  for (const bool copies : {false, true}) {
    plan.gpu_takes_experts = copies;
    plan.gpu_takes_batches = !copies;
    const std::string file = directory.write("plan.json", to_json(plan));
    RunOptions run = options;
    ASSERT_TRUE(carry_out(file, run).ok());
    EXPECT_EQ(run.engine.gpu_takes_experts, copies);
    EXPECT_EQ(run.engine.gpu_takes_batches, !copies);
    EXPECT_EQ(run.engine.gpu_budget.bytes, 5 * kMiB);
    EXPECT_EQ(run.engine.mode, Mode::experts);
  }
}

TEST(SavedPlan, LeavesWhatActivationsTakeOnEachGpuThatTakesPart) {
  TestDirectory directory;
  const ModelIndex index = *ModelIndex::open(directory.write("m.gguf", tiny_moe().build()));
  const ModelDemand demand{.compute_bytes = kMiB};
  const MachineProfile machine;
  const PlanInput input{.index = index,
                        .demand = demand,
                        .machine = machine,
                        .gpu_bytes = {5 * kMiB, 0, 2 * kMiB}};
  EXPECT_EQ(saved_plan(input, {.gpu = {.layers = 1}}).gpu_budget_bytes, 9 * kMiB);
}

}  // namespace
}  // namespace hypura::cli
