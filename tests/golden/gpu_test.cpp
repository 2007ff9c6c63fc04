// GPU, RAM and drive at once, on a GPU that the CPU plays: whatever lies where, the bits are those of
// the whole model in RAM.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/units.h"
#include "engine/llama_log.h"
#include "golden/golden.h"
#include "golden/host_gpu.h"

namespace hypura::golden {
namespace {

constexpr unsigned kSeconds = 300;
// Free enough for everything here, and what an engine leaves to drivers.
constexpr uint64_t kFree = 4 * kGiB;

constexpr const char* kStoryteller = HYPURA_REPO_DIR "/models/storyteller-moe-q4_k_m.gguf";

struct Shape {
  const char* name;
  const char* options;
};

constexpr Shape kShapes[] = {
    {"Dense", "--arch llama --layers 4 --embd 512 --ff 1024 --heads 8 --kv-heads 4"},
    {"Experts", "--arch qwen3moe --layers 4 --embd 512 --heads 8 --kv-heads 4 --experts 16 "
                "--used 4 --expert-ff 256"},
    {"SharedExperts", "--arch qwen2moe --layers 4 --embd 512 --heads 8 --kv-heads 4 --experts 12 "
                      "--used 4 --expert-ff 256 --shared-ff 512"},
};

// The budget of the GPU with which `share` of the weights fit there, beside what contexts take.
uint64_t gpu_bytes(const PlanSummary& all, double share) {
  return all.gpu.kv_bytes + all.gpu.compute_bytes +
         static_cast<uint64_t>(share * static_cast<double>(all.gpu.weight_bytes));
}

std::string run(const EngineOptions& options, const Script& script, const Trace& reference,
                PlanSummary* plan) {
  const uint64_t before = host_gpu_graphs();
  auto engine = Engine::open(options);
  if (!engine.ok()) return engine.status().to_string();
  *plan = (*engine)->plan();
  auto trace = run_script(**engine, script);
  if (!trace.ok()) return trace.status().to_string();
  if (plan->gpu.weight_bytes > 0 && host_gpu_graphs() == before) return "the GPU computed nothing";
  return difference(reference, *trace);
}

// Everywhere between all on the GPU and one layer's attention, and RAM from plenty to the least.
std::string compare_placements(const Script& script) {
  quiet_llama_log(false);
  EngineOptions resident = resident_options(script);
  resident.gpu_budget = {.kind = GpuBudget::Kind::none};
  Trace reference;
  {
    auto engine = Engine::open(resident);
    if (!engine.ok()) return engine.status().to_string();
    auto trace = run_script(**engine, script);
    if (!trace.ok()) return trace.status().to_string();
    reference = *std::move(trace);
  }
  register_host_gpu(kFree, kFree);
  PlanSummary all;
  resident.gpu_budget = {};
  if (std::string text = run(resident, script, reference, &all); !text.empty()) {
    return "all on the GPU: " + text;
  }
  if (all.gpu.weight_bytes == 0) return "the GPU takes no part";
  for (const double share : {0.9, 0.6, 0.35, 0.15}) {
    for (const bool streams : {false, true}) {
      EngineOptions options =
          streams ? streamed_options(script, {.kind = RamBudget::Kind::minimum}) : resident;
      options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, share)};
      PlanSummary plan;
      const std::string text = run(options, script, reference, &plan);
      const std::string where = fmt::format("{} % on the GPU, {}: ", 100 * share,
                                            streams ? "the rest streams" : "the rest in RAM");
      if (!text.empty()) return where + text;
      if (plan.gpu.weight_bytes == 0) return where + "nothing there";
      if (plan.gpu.weight_bytes >= all.gpu.weight_bytes) return where + "all of it there";
      if (streams != (plan.streamed_bytes > 0)) return where + "other weights stream";
    }
  }
  return std::string();
}

class Gpu : public testing::TestWithParam<Shape> {};

TEST_P(Gpu, BitsAreThoseOfRam) {
  const std::string folder = testing::TempDir() + "hypura-gpu-" + GetParam().name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string model = folder + "/m.gguf";
  const std::string command =
      fmt::format("{} {} --quant q4_k_m --vocab 1024 --out {} > {}/log 2>&1", HYPURA_MAKE_MODEL,
                  GetParam().options, model, folder);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  EXPECT_EQ(in_child([&] { return compare_placements({.model = model}); }, kSeconds),
            "");
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Gpu, testing::ValuesIn(kShapes),
                         [](const auto& shape) { return std::string(shape.param.name); });

TEST(GpuModel, StorytellerHasTheBitsOfRam) {
  EXPECT_EQ(in_child([] { return compare_placements({.model = kStoryteller}); }, kSeconds), "");
}

// It says it has gigabytes, and has 12 MiB.
TEST(GpuMemory, LessThanItSaysShrinksTheShare) {
  const auto work = [] {
    quiet_llama_log(false);
    const Script script{.model = kStoryteller, .prompt_tokens = 24, .generated_tokens = 4};
    EngineOptions options = resident_options(script);
    Trace reference;
    {
      auto engine = Engine::open(options);
      if (!engine.ok()) return engine.status().to_string();
      auto trace = run_script(**engine, script);
      if (!trace.ok()) return trace.status().to_string();
      reference = *std::move(trace);
    }
    register_host_gpu(kFree, 12 * kMiB);
    PlanSummary plan;
    std::string text = run(options, script, reference, &plan);
    if (!text.empty()) return text;
    if (!plan.gpu.shrunk) return std::string("it did not shrink");
    if (host_gpu_bytes() != 0) return std::string("it kept memory of the GPU");
    return std::string();
  };
  EXPECT_EQ(in_child(work, kSeconds), "");
}

std::string error_of(const GpuBudget& budget) {
  quiet_llama_log(false);
  EngineOptions options = resident_options({.model = kStoryteller});
  options.gpu_budget = budget;
  auto engine = Engine::open(options);
  return engine.ok() ? "opened" : engine.status().message();
}

TEST(GpuMemory, ImpossibleBudgetsAreRefused) {
  const GpuBudget some{.kind = GpuBudget::Kind::bytes, .bytes = 8 * kGiB};
  EXPECT_EQ(in_child([&] { return error_of(some); }, kSeconds),
            "--gpu-budget 8.0 GiB: no GPU with memory of its own was found");
  const auto with_gpu = [](const GpuBudget& budget) {
    register_host_gpu(kFree, kFree);
    return error_of(budget);
  };
  EXPECT_EQ(in_child([&] { return with_gpu(some); }, kSeconds),
            "--gpu-budget 8.0 GiB: the GPU has 3.5 GiB to give");
  EXPECT_EQ(in_child([&] { return with_gpu({.kind = GpuBudget::Kind::bytes, .bytes = 4096}); },
                     kSeconds),
            "--gpu-budget 4 KiB holds no layer of this model");
}

}  // namespace
}  // namespace hypura::golden
