#include "plan/plan_file.h"

#include <gtest/gtest.h>

#include <string>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

SavedPlan example() {
  return {.model_name = "m",
          .model_bytes = 1000,
          .model_tensors = 3,
          .model_metadata = "0123456789abcdef",
          .machine = "here",
          .budget_bytes = uint64_t{3} << 30,
          .mode = Mode::mixed,
          .context = 4096,
          .micro_batch = 512,
          .choice = {.pin_bytes_max = 77, .pool_bytes_max = 88, .ring_slots = 26},
          .gpu_budget_bytes = 77,
          .gpu_takes_experts = true,
          .gpu_takes_batches = true,
          .threads = {.token = 2, .batch = 3},
          .kv_type_k = "q8_0",
          .kv_type_v = "f32",
          .fast_prompt = true,
          .draft = "d.gguf",
          .draft_depth = 4,
          .pinned_bytes = 500,
          .streamed_bytes = 500,
          .expert_slots = 9,
          .decode_tps = 1.25,
          .prompt_tps = 10,
          .bottleneck = "drive"};
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = to_json(example());
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(PlanFile, ComesBackAsItWas) {
  const Result<SavedPlan> back = parse_plan(to_json(example()));
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_TRUE(differences(example(), *back).empty());
  EXPECT_EQ(back->choice, example().choice);
  EXPECT_TRUE(back->gpu_takes_experts);
  EXPECT_TRUE(back->gpu_takes_batches);
  SavedPlan all = example();
  all.choice.pin_bytes_max = UINT64_MAX;
  EXPECT_EQ(parse_plan(to_json(all))->choice.pin_bytes_max, UINT64_MAX);
}

TEST(PlanFile, PlansOfBeforeLeftTheRestToTheRun) {
  std::string text = to_json(example());
  const size_t from = text.find(",\n    \"gpu_takes_experts\"");
  const size_t to = text.find("\n  }", from);
  ASSERT_NE(from, std::string::npos);
  text.erase(from, to - from);
  const Result<SavedPlan> plan = parse_plan(text);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_EQ(plan->choice, example().choice);
  EXPECT_FALSE(plan->gpu_takes_experts);
  EXPECT_FALSE(plan->gpu_takes_batches);
  EXPECT_EQ(plan->threads, ThreadCounts());
  EXPECT_EQ(plan->kv_type_k, "f16");
  EXPECT_EQ(plan->draft, "");
}

TEST(PlanFile, RefusesNonsense) {
  const std::string hostile[] = {
      "",
      "{",
      "[]",
      "null",
      "7",
      "{}",
      "\xff\xfe",
      std::string(100000, '['),
      with("\"schema\": 1", "\"schema\": 2"),
      with("\"schema\": 1", "\"schema\": \"1\""),
      with("hypura plan", "other plan"),
      with("\"budget_bytes\": 3221225472", "\"budget_bytes\": 0"),
      with("\"budget_bytes\": 3221225472", "\"budget_bytes\": -1"),
      with("\"budget_bytes\": 3221225472", "\"budget_bytes\": 1e300"),
      with("\"budget_bytes\": 3221225472", "\"budget_bytes\": 18446744073709551615"),
      with("\"gpu_budget_bytes\": 77", "\"gpu_budget_bytes\": 18446744073709551615"),
      with("\"gpu_budget_bytes\": 77", "\"gpu_budget_bytes\": -1"),
      with("\"gpu_takes_experts\": true", "\"gpu_takes_experts\": 1"),
      with("\"context\": 4096", "\"context\": 0"),
      with("\"context\": 4096", "\"context\": 99999999999"),
      with("\"micro_batch\": 512", "\"micro_batch\": null"),
      with("\"ring_slots\": 26", "\"ring_slots\": 4000000000"),
      with("\"ring_slots\": 26", "\"ring_slots\": 2.5"),
      with("\"pool_bytes_max\": 88", "\"pool_bytes_max\": -8"),
      with("\"threads\": 2", "\"threads\": 513"),
      with("\"threads\": 2", "\"threads\": \"2\""),
      with("\"threads_batch\": 3", "\"threads_batch\": 70000"),
      with("\"fast_prompt\": true", "\"fast_prompt\": 1"),
      with("\"draft_depth\": 4", "\"draft_depth\": 5000"),
      with("\"kv_type_k\": \"q8_0\"", "\"kv_type_k\": 8"),
      with("\"mixed\"", "\"auto\""),
      with("\"mixed\"", "\"\""),
      with("\"decode_tps\": 1.25", "\"decode_tps\": -1"),
      with("\"decode_tps\": 1.25", "\"decode_tps\": NaN"),
      with("\"decisions\"", "\"other\""),
      with("\"machine\": \"here\"", "\"machine\": 1"),
  };
  for (const std::string& text : hostile) {
    const Result<SavedPlan> plan = parse_plan(text);
    ASSERT_FALSE(plan.ok()) << text;
    EXPECT_EQ(plan.status().code(), StatusCode::invalid_argument) << text;
    EXPECT_NE(plan.status().message().find("not a saved plan"), std::string::npos);
  }
}

TEST(PlanFile, IsForOneModel) {
  TestDirectory directory;
  const auto open = [&](const char* name, int64_t rows, const char* tensor) {
    GgufBytes file;
    file.text("general.architecture", "tiny");
    const uint64_t bytes = static_cast<uint64_t>(rows) * 64;
    file.tensor({.name = tensor, .ne = {32, rows}, .type = GgufBytes::kF16, .bytes = bytes});
    return *ModelIndex::open(directory.write(name, file.build()));
  };
  const ModelIndex one = open("a.gguf", 64, "output.weight");
  const ModelIndex same = open("b.gguf", 64, "output.weight");
  const ModelIndex renamed = open("c.gguf", 64, "outpux.weight");
  const ModelIndex larger = open("d.gguf", 128, "output.weight");
  SavedPlan plan = example();
  plan.model_bytes = one.shards()[0].bytes;
  plan.model_tensors = 1;
  plan.model_metadata = metadata_hash(one);
  EXPECT_TRUE(check_model(plan, one).ok());
  EXPECT_TRUE(check_model(plan, same).ok()) << "a copy is the same model";
  EXPECT_NE(check_model(plan, renamed).why().find("tensors differ"), std::string::npos);
  EXPECT_NE(check_model(plan, larger).why().find("bytes"), std::string::npos);
  plan.model_tensors = 2;
  EXPECT_NE(check_model(plan, one).why().find("2 tensors"), std::string::npos);
}

TEST(PlanFile, DifferencesNameWhatChanged) {
  SavedPlan other = example();
  other.budget_bytes *= 2;
  other.mode = Mode::dense;
  const std::vector<std::string> lines = differences(example(), other);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "budget: 3.0 GiB -> 6.0 GiB");
  EXPECT_EQ(lines[1], "mode: mixed -> dense");
}

}  // namespace
}  // namespace hypura
