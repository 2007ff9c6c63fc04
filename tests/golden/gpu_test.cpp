// GPU, RAM and drive at once, on a GPU that the CPU plays: whatever lies where, the bits are those
// of the whole model in RAM.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "cli/report.h"
#include "engine/llama_log.h"
#include "golden/golden.h"
#include "golden/gpu_budget.h"
#include "golden/host_gpu.h"
#include "golden/restless_sizer.h"
#include "io/sim_device.h"
#include "io/test_support.h"
#include "server/model/model_state.h"
#include "server/routes/status_report.h"

namespace hypura::golden {
namespace {

constexpr unsigned kSeconds = 300;
constexpr uint32_t kFaultSeeds = 16;
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

// Deep enough for two layers' experts, and a few of every layer.
constexpr Shape kDeepShapes[] = {
    {"DeepExperts", "--arch qwen3moe --layers 8 --embd 512 --heads 8 --kv-heads 4 --experts 16 "
                    "--used 4 --expert-ff 256"},
    {"DeepSharedExperts", "--arch qwen2moe --layers 8 --embd 512 --heads 8 --kv-heads 4 "
                          "--experts 12 --used 2 --expert-ff 256 --shared-ff 512"},
    // Rows that GPUs pad.
    {"OddExperts", "--arch qwen3moe --layers 8 --embd 256 --heads 4 --kv-heads 2 --experts 32 "
                   "--used 2 --expert-ff 768"},
};

// The whole model in RAM, without a GPU. What went wrong; empty if nothing.
std::string run_in_ram(const Script& script, Trace* reference) {
  EngineOptions options = resident_options(script);
  options.gpu_budget = {.kind = GpuBudget::Kind::none};
  auto engine = Engine::open(options);
  if (!engine.ok()) return engine.status().to_string();
  auto trace = run_script(**engine, script);
  if (!trace.ok()) return trace.status().to_string();
  *reference = *std::move(trace);
  return std::string();
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

// The whole model in RAM, then on a GPU of that kind, which is there from here on.
std::string run_whole(const Script& script, HostGpuKind kind, Trace* reference, PlanSummary* all) {
  quiet_llama_log(false);
  if (std::string text = run_in_ram(script, reference); !text.empty()) return text;
  register_host_gpu(kFree, kFree, kind);
  const std::string text = run(resident_options(script), script, *reference, all);
  if (!text.empty()) return "all on the GPU: " + text;
  return all->gpu.weight_bytes > 0 ? std::string() : "the GPU takes no part";
}

// For all that is not a weight, and a share of those.
RamBudget ram_for(const PlanSummary& all, double share) {
  const double weights = share * static_cast<double>(all.weight_bytes);
  return {.kind = RamBudget::Kind::bytes,
          .bytes = all.fixed_bytes + static_cast<uint64_t>(weights)};
}

// Everywhere between all on the GPU and one layer's attention, and RAM from plenty to the least.
std::string compare_placements(const Script& script, HostGpuKind kind) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, kind, &reference, &all);
  if (!wrong.empty()) return wrong;
  for (const double share : {0.9, 0.6, 0.35, 0.15}) {
    for (const bool streams : {false, true}) {
      EngineOptions options =
          streams ? streamed_options(script, {.kind = RamBudget::Kind::minimum})
                  : resident_options(script);
      options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, share)};
      options.gpu_takes_experts = false;
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

// Batches of what streams below it are computed by the GPU, the rest of a prompt and its tokens by
// the CPU: with all layers there and with one, from RAM's slots, its ring, and what stays in RAM.
// With `lacks`, that the GPU turns out not to have, the CPU computes all of it.
std::string compare_batches(Script script, uint64_t lacks,
                            HostGpuKind kind = HostGpuKind::discrete) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, kind, &reference, &all);
  if (!wrong.empty()) return wrong;
  const RamBudget least{.kind = RamBudget::Kind::minimum};
  const RamBudget half = ram_for(all, 0.5);
  const uint64_t room = batch_bytes(all, *ModelIndex::open(script.model));
  for (const double share : {0.6, 0.3}) {
    for (const RamBudget& budget : {least, half}) {
      RestlessSizer sizer(1);
      script.cache_sizer = &sizer;
      EngineOptions options = streamed_options(script, budget);
      options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = room + gpu_bytes(all, share)};
      options.gpu_takes_experts = false;
      options.gpu_takes_batches = true;
      auto engine = Engine::open(options);
      const std::string at =
          fmt::format("{} % on the GPU, {} of RAM: ", 100 * share, budget.bytes);
      if (!engine.ok()) return at + engine.status().to_string();
      if (!(*engine)->plan().gpu.batches.has_value()) return at + "it takes no batches";
      limit_host_gpu(lacks > 0 ? host_gpu_bytes() + lacks : kFree);
      auto trace = run_script(**engine, script);
      limit_host_gpu(kFree);
      if (!trace.ok()) return at + trace.status().to_string();
      if (std::string text = difference(reference, *trace); !text.empty()) return at + text;
      const uint64_t copied = (*engine)->stats().gpu->copied_bytes;
      if ((copied > 0) != (lacks == 0)) return fmt::format("{}{} bytes copied", at, copied);
      const bool refused = (*engine)->stats().gpu->refused;
      if (refused != (lacks > 0)) return at + "what was refused is not told";
    }
  }
  return std::string();
}

// Below a GPU that routes, the next layer's experts are guessed while it computes: by copies of its
// routers, or from what followed before.
std::string compare_guesses(Script script) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, HostGpuKind::discrete, &reference, &all);
  if (!wrong.empty()) return wrong;
  for (const PrefetchMode prefetch :
       {PrefetchMode::automatic, PrefetchMode::coactivation, PrefetchMode::off}) {
    RestlessSizer sizer(1);
    script.cache_sizer = &sizer;
    script.prefetch = prefetch;
    EngineOptions options = streamed_options(script, ram_for(all, 0.5));
    options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, 0.3)};
    options.gpu_takes_experts = false;
    options.gpu_takes_batches = false;
    auto engine = Engine::open(options);
    const std::string at = fmt::format("predictor {}: ", static_cast<int>(prefetch));
    if (!engine.ok()) return at + engine.status().to_string();
    const bool guesses = prefetch != PrefetchMode::off;
    const PlanSummary& plan = (*engine)->plan();
    if (plan.gpu.weight_bytes == 0 || plan.streamed_bytes == 0) return at + "not on both sides";
    const bool copies = prefetch == PrefetchMode::automatic;
    if ((plan.router_copy_bytes > 0) != copies) return at + "wrong copies of routers";
    auto trace = run_script(**engine, script);
    if (!trace.ok()) return at + trace.status().to_string();
    if (std::string text = difference(reference, *trace); !text.empty()) return at + text;
    const PrefetchStats stats = (*engine)->stats().prefetch;
    const std::string counted = fmt::format("{} guesses, {} used", stats.guesses, stats.used);
    if (!guesses && stats.guesses > 0) return at + counted;
    if (guesses && (stats.guesses < 20 || 2 * stats.used < stats.guesses)) return at + counted;
  }
  return std::string();
}

// Notes whose layer's experts are read, and how many graphs the GPU had computed by then.
class NotingDevice final : public ForwardingDevice {
 public:
  struct Note {
    int layer = 0;
    uint64_t graphs = 0;
  };

  NotingDevice(const ModelIndex& index, std::vector<Note>& notes)
      : ForwardingDevice(SimOptions{}), index_(index), notes_(notes) {}

  void submit(std::span<const ReadRequest> requests) override {
    for (const ReadRequest& request : requests) {
      for (const TensorInfo& tensor : index_.tensors()) {
        const uint64_t middle = request.offset + request.bytes / 2;
        const bool holds = tensor.offset <= middle && middle < tensor.offset + tensor.bytes;
        if (!holds || tensor.expert_count == 0) continue;
        notes_.push_back({.layer = tensor.layer, .graphs = host_gpu_graphs()});
      }
    }
    ForwardingDevice::submit(requests);
  }

 private:
  const ModelIndex& index_;
  std::vector<Note>& notes_;
};

// A batch will use most of the next layer's experts: some are read before the GPU has computed
// what is in front of them.
std::string read_ahead_of_batches(Script script) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, HostGpuKind::discrete, &reference, &all);
  if (!wrong.empty()) return wrong;
  const ModelIndex index = *ModelIndex::open(script.model);
  for (const PrefetchMode prefetch : {PrefetchMode::automatic, PrefetchMode::off}) {
    script.prefetch = prefetch;
    EngineOptions options = streamed_options(script, ram_for(all, 0.5));
    options.gpu_budget = {.kind = GpuBudget::Kind::bytes,
                          .bytes = batch_bytes(all, index) + gpu_bytes(all, 0.3)};
    options.gpu_takes_experts = false;
    options.gpu_takes_batches = true;
    std::vector<NotingDevice::Note> notes;
    options.make_device = [&] {
      return std::make_unique<NotingDevice>(index, notes);
    };
    auto engine = Engine::open(options);
    if (!engine.ok()) return engine.status().to_string();
    if (!(*engine)->plan().gpu.batches.has_value()) return "it takes no batches";
    notes.clear();
    auto trace = run_script(**engine, script);
    if (!trace.ok()) return trace.status().to_string();
    if (std::string text = difference(reference, *trace); !text.empty()) return text;
    int ahead = 0;
    for (size_t k = 1; k < notes.size(); ++k) {
      const bool next = notes[k].layer == notes[k - 1].layer + 1;
      ahead += next && notes[k].graphs == notes[k - 1].graphs;
    }
    const bool reads = prefetch != PrefetchMode::off;
    if (reads ? ahead < 4 : ahead > 0) return fmt::format("{} of {} reads", ahead, notes.size());
  }
  return std::string();
}

// Experts that do not fit there are copied to the GPU: from RAM for good, from the least that RAM
// can hold, and while it is the drive that they come from.
std::string compare_copies(const Script& script, HostGpuKind kind = HostGpuKind::discrete) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, kind, &reference, &all);
  if (!wrong.empty()) return wrong;
  for (const double share : {0.9, 0.75}) {
    for (const auto& [budget, where] :
         {std::pair(RamBudget{.kind = RamBudget::Kind::minimum}, "the drive"),
          std::pair(RamBudget{.kind = RamBudget::Kind::bytes, .bytes = kFree}, "RAM")}) {
      EngineOptions options = streamed_options(script, budget);
      options.mode = Mode::automatic;
      options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, share)};
      options.gpu_takes_experts = true;
      auto engine = Engine::open(options);
      const std::string at = fmt::format("{} % on the GPU, the rest from {}: ", 100 * share, where);
      if (!engine.ok()) return at + engine.status().to_string();
      if (!(*engine)->plan().gpu.experts.has_value()) return at + "it takes no experts";
      auto trace = run_script(**engine, script);
      if (!trace.ok()) return at + trace.status().to_string();
      const std::string text = difference(reference, *trace);
      if (!text.empty()) return at + text;
      const GpuWalkStats stats = *(*engine)->stats().gpu;
      if (stats.hits == 0 || stats.misses == 0) {
        return fmt::format("{}{} hits, {} misses", at, stats.hits, stats.misses);
      }
      if (stats.copied_bytes < stats.misses) return at + "nothing was copied";
    }
  }
  return std::string();
}

// A GPU that computes in RAM: of a model that fits all of it, of one that does not the experts in
// the slots that they are read into.
std::string compare_unified(const Script& script) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, HostGpuKind::unified, &reference, &all);
  if (!wrong.empty()) return wrong;
  if (!all.gpu.unified) return "the GPU has memory of its own";
  const RamBudget least{.kind = RamBudget::Kind::minimum};
  for (const RamBudget& budget : {least, ram_for(all, 0.5)}) {
    EngineOptions options = streamed_options(script, budget);
    const uint64_t shown = host_gpu_shown_bytes();
    PlanSummary plan;
    const std::string text = run(options, script, reference, &plan);
    const std::string at = fmt::format("{} of RAM: ", format_bytes(plan.budget_bytes));
    if (!text.empty()) return at + text;
    if (!plan.gpu.experts.has_value()) return at + "it takes no experts";
    if (host_gpu_shown_bytes() < shown + plan.cached_bytes) {
      return at + "it was not shown the slots";
    }
    if (plan.streamed_bytes == 0) return at + "nothing streams";
  }
  return std::string();
}

// One that cannot be shown the slots has all of a model that fits, and no part in one that streams.
std::string compare_integrated(const Script& script) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, HostGpuKind::integrated, &reference, &all);
  if (!wrong.empty()) return wrong;
  PlanSummary plan;
  const RamBudget least{.kind = RamBudget::Kind::minimum};
  const std::string text = run(streamed_options(script, least), script, reference, &plan);
  if (!text.empty()) return "streamed: " + text;
  if (plan.gpu.weight_bytes > 0 || plan.gpu.shrunk) return "the GPU takes part in what streams";
  return std::string();
}

enum class Takes : uint8_t { nothing, experts, batches };

// A drive that fails now and then (a run reads thousands of times), below a GPU that takes experts
// or batches from RAM's slots, or nothing, so that experts are guessed: the right bits or a clean
// error, also from an engine that had one.
std::string survive_faults(const Script& script, HostGpuKind kind, Takes takes) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, kind, &reference, &all);
  if (!wrong.empty()) return wrong;
  int right = 0;
  int failed = 0;
  uint64_t guesses = 0;
  for (uint32_t seed = 1; seed <= kFaultSeeds; ++seed) {
    const RamBudget least{.kind = RamBudget::Kind::minimum};
    EngineOptions options =
        streamed_options(script, takes == Takes::nothing ? ram_for(all, 0.45) : least);
    if (kind == HostGpuKind::discrete) {
      options.mode = Mode::automatic;
      options.gpu_budget = {.kind = GpuBudget::Kind::bytes,
                            .bytes = gpu_bytes(all, takes == Takes::nothing ? 0.3 : 0.75)};
      options.gpu_takes_experts = takes == Takes::experts;
      options.gpu_takes_batches = takes == Takes::batches;
    }
    options.make_device = [&] {
      SimOptions drive{.seed = seed, .depth = 4};
      drive.faults.short_read = 0.2;
      drive.faults.eio = 0.02;
      if (seed % 2 == 0) drive.faults.eio_permanent = 0.002;
      return make_sim_device(drive);
    };
    auto engine = Engine::open(options);
    if (!engine.ok()) {
      ++failed;
      continue;
    }
    const GpuSummary& gpu = (*engine)->plan().gpu;
    if (gpu.experts.has_value() != (takes == Takes::experts) ||
        gpu.batches.has_value() != (takes == Takes::batches)) {
      return "the GPU takes something else";
    }
    for (int attempt = 0; attempt < 2; ++attempt) {
      llama_memory_clear(llama_get_memory((*engine)->context()), true);
      auto trace = run_script(**engine, script);
      guesses += (*engine)->stats().prefetch.guesses;
      if (!trace.ok()) {
        ++failed;
        const std::string& message = trace.status().message();
        if (message.find(script.model) == std::string::npos) return "an unclear error: " + message;
        continue;
      }
      ++right;
      const std::string text = difference(reference, *trace);
      if (!text.empty()) return fmt::format("seed {}: {}", seed, text);
    }
  }
  if (right < 4 || failed < 4) return fmt::format("{} right, {} failed", right, failed);
  if (takes == Takes::nothing && guesses < 100) return fmt::format("{} guesses", guesses);
  return std::string();
}

// A GPU whose backend throws in the middle of things, computing or copying: an error, and then the
// right bits again.
std::string survive_a_broken_gpu(const Script& script, Takes takes) {
  Trace reference;
  PlanSummary all;
  std::string wrong = run_whole(script, HostGpuKind::discrete, &reference, &all);
  if (!wrong.empty()) return wrong;
  struct Break {
    uint64_t graphs = 0;
    uint64_t copies = 0;
  };
  for (const auto& [graphs, copies] :
       {Break{.graphs = 1}, {.graphs = 2}, {.graphs = 5}, {.graphs = 12}, {.graphs = 30},
        {.copies = 1}, {.copies = 3}, {.copies = 20}, {.copies = 60}}) {
    EngineOptions options = streamed_options(script, {.kind = RamBudget::Kind::minimum});
    options.mode = Mode::automatic;
    options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, 0.75)};
    options.gpu_takes_experts = takes == Takes::experts;
    if (takes == Takes::batches) options.gpu_takes_batches = true;
    auto engine = Engine::open(options);
    if (!engine.ok()) return engine.status().to_string();
    for (const bool broken : {true, false}) {
      llama_memory_clear(llama_get_memory((*engine)->context()), true);
      break_host_gpu(broken ? graphs : 0);
      break_host_gpu_copies(broken ? copies : 0);
      auto trace = run_script(**engine, script);
      const std::string at = fmt::format("graph {}, copy {}, {}: ", graphs, copies,
                                         broken ? "broken" : "whole");
      if (trace.ok() == broken) return at + (broken ? "no error" : trace.status().to_string());
      if (broken) continue;
      if (std::string text = difference(reference, *trace); !text.empty()) return at + text;
    }
  }
  return std::string();
}

class Gpu : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    const std::string command =
        fmt::format("{} {} --quant q4_k_m --vocab 1024 --out {} > {}/log 2>&1", HYPURA_MAKE_MODEL,
                    GetParam().options, model_, folder_);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  ~Gpu() override { std::filesystem::remove_all(folder_); }

  const std::string folder_ = testing::TempDir() + "hypura-gpu-" + GetParam().name;
  const std::string model_ = folder_ + "/m.gguf";
  // Two micro-batches, and a token.
  const Script script_{.model = model_, .prompt_tokens = 81, .generated_tokens = 16};
};

std::string name_of(const testing::TestParamInfo<Shape>& shape) { return shape.param.name; }

TEST_P(Gpu, BitsAreThoseOfRam) {
  const auto compare = [&] { return compare_placements(script_, HostGpuKind::discrete); };
  EXPECT_EQ(in_child(compare, kSeconds), "");
}

TEST_P(Gpu, BitsOfBatchesAreThoseOfRam) {
  EXPECT_EQ(in_child([&] { return compare_batches(script_, 0); }, kSeconds), "");
  // Several sequences, and experts of which some are not used.
  const Script few{.model = model_, .prompt_tokens = 33, .micro_batch = 33, .sequences = 2};
  EXPECT_EQ(in_child([&] { return compare_batches(few, 0); }, kSeconds), "");
}

TEST_P(Gpu, BatchesOfAGpuWithoutMemoryForThemAreTheCpus) {
  EXPECT_EQ(in_child([&] { return compare_batches(script_, 1); }, kSeconds), "");
}

TEST_P(Gpu, BitsOfTwoAreThoseOfRam) {
  // With two of these llama.cpp would choose to do without, which changes bits.
  Script script = script_;
  script.flash_attention = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  const auto compare = [&] { return compare_placements(script, HostGpuKind::two); };
  EXPECT_EQ(in_child(compare, kSeconds), "");
}

INSTANTIATE_TEST_SUITE_P(Shapes, Gpu, testing::ValuesIn(kShapes), name_of);

class GpuCopies : public Gpu {};

TEST_P(GpuCopies, BitsAreThoseOfRam) {
  EXPECT_EQ(in_child([&] { return compare_copies(script_); }, kSeconds), "");
}

TEST_P(GpuCopies, BitsOfUnifiedMemoryAreThoseOfRam) {
  EXPECT_EQ(in_child([&] { return compare_unified(script_); }, kSeconds), "");
}

TEST_P(GpuCopies, AFaultyDriveGivesRightBitsOrACleanError) {
  const Script script{
      .model = model_, .prompt_tokens = 24, .generated_tokens = 4, .micro_batch = 9};
  for (const HostGpuKind kind : {HostGpuKind::discrete, HostGpuKind::unified}) {
    EXPECT_EQ(in_child([&] { return survive_faults(script, kind, Takes::experts); }, kSeconds),
              "");
  }
}

TEST_P(GpuCopies, BatchesOfAFaultyDriveGiveRightBitsOrACleanError) {
  const Script script{
      .model = model_, .prompt_tokens = 70, .generated_tokens = 2, .micro_batch = 35};
  const auto survive = [&] {
    return survive_faults(script, HostGpuKind::discrete, Takes::batches);
  };
  EXPECT_EQ(in_child(survive, kSeconds), "");
}

TEST_P(GpuCopies, GuessesOfAFaultyDriveGiveRightBitsOrACleanError) {
  const Script script{.model = model_, .prompt_tokens = 12, .generated_tokens = 96};
  const auto survive = [&] {
    return survive_faults(script, HostGpuKind::discrete, Takes::nothing);
  };
  EXPECT_EQ(in_child(survive, kSeconds), "");
}

TEST_P(GpuCopies, ABackendThatThrowsLeavesNothingWrong) {
  const Script script{
      .model = model_, .prompt_tokens = 70, .generated_tokens = 2, .micro_batch = 35};
  for (const Takes takes : {Takes::experts, Takes::batches}) {
    EXPECT_EQ(in_child([&] { return survive_a_broken_gpu(script, takes); }, kSeconds), "");
  }
}

TEST_P(GpuCopies, TheNextLayersExpertsAreReadAheadOfBatches) {
  const Script script{
      .model = model_, .prompt_tokens = 120, .generated_tokens = 1, .micro_batch = 40};
  EXPECT_EQ(in_child([&] { return read_ahead_of_batches(script); }, kSeconds), "");
}

INSTANTIATE_TEST_SUITE_P(Shapes, GpuCopies, testing::ValuesIn(kDeepShapes), name_of);

TEST(GpuModel, StorytellerHasTheBitsOfRam) {
  const auto compare = [] {
    return compare_placements({.model = kStoryteller}, HostGpuKind::discrete);
  };
  EXPECT_EQ(in_child(compare, kSeconds), "");
  EXPECT_EQ(in_child([] { return compare_copies({.model = kStoryteller}); }, kSeconds), "");
  EXPECT_EQ(in_child([] { return compare_unified({.model = kStoryteller}); }, kSeconds), "");
  EXPECT_EQ(in_child([] { return compare_integrated({.model = kStoryteller}); }, kSeconds), "");
}

TEST(GpuModel, WithoutEventsCopiesTakeTheirTurn) {
  const Script script{.model = kStoryteller, .prompt_tokens = 81};
  constexpr HostGpuKind kKind = HostGpuKind::eventless;
  EXPECT_EQ(in_child([&] { return compare_copies(script, kKind); }, kSeconds), "");
  EXPECT_EQ(in_child([&] { return compare_batches(script, 0, kKind); }, kSeconds), "");
}

TEST(GpuModel, TheNextLayersExpertsAreGuessedBelowIt) {
  const Script script{.model = kStoryteller, .prompt_tokens = 12, .generated_tokens = 48};
  EXPECT_EQ(in_child([&] { return compare_guesses(script); }, kSeconds), "");
}

// What is said of a run whose experts pass through the GPU; empty if all of that is true.
std::string judge_report(const Engine& engine, const cli::RunReport& report) {
  using Json = nlohmann::json;
  const GpuShare::Experts& experts = *engine.plan().gpu.experts;
  const Json run = Json::parse(cli::run_json(engine, report));
  const Json& gpu = run["gpu"];
  const uint64_t slots = gpu["cache_slots"];
  if (slots < 4 || slots >= 16) return fmt::format("{} slots a layer", slots);
  const GpuWalkStats before = *report.loaded.gpu;
  const GpuWalkStats after = *report.finished.gpu;
  for (const auto& [key, value] : {std::pair("cache_bytes", experts.cache_bytes),
                                   std::pair("place_bytes", experts.place_bytes),
                                   std::pair("places", uint64_t{experts.places}),
                                   std::pair("expert_hits", after.hits - before.hits),
                                   std::pair("expert_misses", after.misses - before.misses),
                                   std::pair("copied_bytes",
                                             after.copied_bytes - before.copied_bytes)}) {
    if (value == 0 || gpu[key] != value) return fmt::format("{}: {}", key, gpu[key].dump());
  }
  const ResidencyStats& ram = report.finished.residency;
  const double in_ram = static_cast<double>(ram.expert_hits - report.loaded.residency.expert_hits);
  const double hits = static_cast<double>(after.hits - before.hits) + in_ram;
  const double uses = hits + static_cast<double>(ram.expert_misses) -
                      static_cast<double>(report.loaded.residency.expert_misses);
  if (in_ram == 0 || hits == uses) return fmt::format("{} hits, {} in RAM", hits, in_ram);
  if (run["expert_hit_rate"] != hits / uses) return run["expert_hit_rate"].dump();
  const std::string plan = cli::plan_text(engine);
  if (plan.find(fmt::format("slots for {} of 16 experts a layer", slots)) == std::string::npos ||
      plan.find("2 places for whole tensors") == std::string::npos) {
    return plan;
  }
  const std::string summary = cli::summary_text(engine, report);
  if (summary.find(" to the GPU, hits there ") == std::string::npos) return summary;
  StatusReport status;
  status.models.push_back({.facts = {.name = "m"}, .state = model_state(engine, {}, {})});
  const std::string metrics = prometheus_text(status);
  const std::string copied =
      fmt::format("\nhypura_gpu_copied_bytes_total{{model=\"m\"}} {}\n", after.copied_bytes);
  return metrics.find(copied) == std::string::npos ? metrics : std::string();
}

TEST(GpuModel, ReportsSayWhatWasCopied) {
  const auto work = [] {
    quiet_llama_log(false);
    register_host_gpu(kFree, kFree);
    const Script script{.model = kStoryteller, .prompt_tokens = 24, .generated_tokens = 8};
    EngineOptions options =
        streamed_options(script, {.kind = RamBudget::Kind::bytes, .bytes = 18 * kMiB});
    options.mode = Mode::automatic;
    options.gpu_takes_experts = true;
    uint64_t gpu_bytes_of_some = 0;
    {
      EngineOptions resident = resident_options(script);
      auto engine = Engine::open(resident);
      if (!engine.ok()) return engine.status().to_string();
      gpu_bytes_of_some = gpu_bytes((*engine)->plan(), 0.75);
    }
    options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes_of_some};
    auto engine = Engine::open(options);
    if (!engine.ok()) return engine.status().to_string();
    if (!(*engine)->plan().gpu.experts.has_value()) return std::string("it takes no experts");
    cli::RunReport report;
    report.loaded = (*engine)->stats();
    if (auto trace = run_script(**engine, script); !trace.ok()) return trace.status().to_string();
    report.finished = (*engine)->stats();
    return judge_report(**engine, report);
  };
  EXPECT_EQ(in_child(work, kSeconds), "");
}

// Nobody asked for a micro-batch: with `copies`, experts are copied from RAM, else they stream. The
// CPU is slow, and the bus that all passes once a micro-batch.
std::string choose_micro_batch(bool copies) {
  constexpr uint32_t kLarger = 64;
  const Script larger{.model = kStoryteller, .prompt_tokens = 201, .micro_batch = kLarger};
  Trace reference;
  PlanSummary all;
  std::string text = run_whole(larger, HostGpuKind::discrete, &reference, &all);
  if (!text.empty()) return text;
  Script small = larger;
  small.micro_batch = 32;
  const uint64_t weight_bytes = copies ? 2 * all.weight_bytes : all.weight_bytes / 4;
  EngineOptions options = streamed_options(
      small, {.kind = RamBudget::Kind::bytes, .bytes = all.fixed_bytes + weight_bytes});
  if (copies) options.mode = Mode::automatic;
  const uint64_t room = batch_bytes(all, *ModelIndex::open(kStoryteller));
  options.gpu_budget = {.kind = GpuBudget::Kind::bytes,
                        .bytes = room + gpu_bytes(all, copies ? 0.6 : 0.15)};
  options.gpu_takes_experts = copies;
  options.machine.emplace();
  options.machine->compute = {{.type = "q4_K", .threads = 1, .token_gbps = 10, .batch_gbps = 1}};
  options.machine->gpus = {{.name = "g", .upload_gbps = 0.3}};
  options.machine->drive.samples = {
      {.read_bytes = kMiB, .depth = 32, .sequential = true, .gbps = 1}};
  for (const uint32_t most : {0u, kLarger}) {
    options.micro_batch_most = most;
    auto engine = Engine::open(options);
    if (!engine.ok()) return engine.status().to_string();
    const uint32_t taken = llama_n_ubatch((*engine)->context());
    if (taken != (most == 0 ? 32 : kLarger)) return fmt::format("{} of {}", taken, most);
    const GpuSummary& gpu = (*engine)->plan().gpu;
    if (gpu.batches.has_value() == copies) return std::string("it takes others' batches");
    if (gpu.experts.has_value() != copies) return std::string("it copies others' experts");
    if (most == 0) continue;
    auto trace = run_script(**engine, larger);
    if (!trace.ok()) return trace.status().to_string();
    text = difference(reference, *trace);
    if (copies && (*engine)->stats().gpu->copied_bytes == 0) text += "nothing was copied";
  }
  return text;
}

TEST(GpuModel, ALargerMicroBatchIsChosen) {
  for (const bool copies : {false, true}) {
    EXPECT_EQ(in_child([copies] { return choose_micro_batch(copies); }, kSeconds), "")
        << (copies ? "copied" : "streamed");
  }
}

// It says it has gigabytes, and has 12 MiB.
TEST(GpuMemory, LessThanItSaysShrinksTheShare) {
  const auto work = [] {
    quiet_llama_log(false);
    const Script script{.model = kStoryteller, .prompt_tokens = 24, .generated_tokens = 4};
    EngineOptions options = resident_options(script);
    Trace reference;
    if (std::string text = run_in_ram(script, &reference); !text.empty()) return text;
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

// Of two GPUs each has nearly half of what lies there, though it is the last layers that have
// their experts there.
std::string share_with_two() {
  Script script{.model = kStoryteller, .prompt_tokens = 81};
  script.flash_attention = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  Trace reference;
  PlanSummary all;
  std::string text = run_whole(script, HostGpuKind::two, &reference, &all);
  if (!text.empty()) return text;
  const uint64_t each = gpu_bytes(all, 0.3);
  limit_host_gpu(each);
  for (const RamBudget& budget : {ram_for(all, 1.2), ram_for(all, 0.2)}) {
    EngineOptions options = streamed_options(script, budget);
    options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = 2 * each};
    auto engine = Engine::open(options);
    if (!engine.ok()) return engine.status().to_string();
    const GpuSummary& gpu = (*engine)->plan().gpu;
    if (gpu.shrunk) return "it shrank";
    if (gpu.parts.size() != 2) return "other parts";
    for (size_t i = 0; i < 2; ++i) {
      const uint64_t bytes = gpu.parts[i].bytes();
      const std::string at = fmt::format("{} B of {} on GPU {}", bytes, all.gpu.weight_bytes, i);
      if (bytes < all.gpu.weight_bytes / 5) return at;
      if (host_gpu_bytes(i) < bytes) return fmt::format("{}: {} there", at, host_gpu_bytes(i));
    }
    auto trace = run_script(**engine, script);
    if (!trace.ok()) return trace.status().to_string();
    if (text = difference(reference, *trace); !text.empty()) return text;
  }
  return std::string();
}

TEST(GpuMemory, TwoShareByBytes) { EXPECT_EQ(in_child(share_with_two, kSeconds), ""); }

// Where the drive is waited for, as much lies on the GPU as where RAM holds the rest, or more.
std::string fill_for_the_drive() {
  const Script script{.model = kStoryteller};
  Trace reference;
  PlanSummary all;
  std::string text = run_whole(script, HostGpuKind::discrete, &reference, &all);
  if (!text.empty()) return text;
  int more = 0;
  for (double share = 0.2; share < 0.9; share += 0.05) {
    std::vector<uint64_t> bytes;
    const RamBudget least{.kind = RamBudget::Kind::minimum};
    for (const RamBudget& budget : {ram_for(all, 1.2), least}) {
      EngineOptions options = streamed_options(script, budget);
      options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, share)};
      options.gpu_takes_experts = false;
      options.gpu_takes_batches = false;
      auto engine = Engine::open(options);
      if (!engine.ok()) return engine.status().to_string();
      bytes.push_back((*engine)->plan().gpu.weight_bytes);
    }
    if (bytes[1] < bytes[0]) return fmt::format("{} B in place of {}", bytes[1], bytes[0]);
    more += bytes[1] > bytes[0];
  }
  return more > 0 ? std::string() : "never more";
}

TEST(GpuMemory, IsFullerWhereTheDriveIsWaitedFor) {
  EXPECT_EQ(in_child(fill_for_the_drive, kSeconds), "");
}

// What a part on the GPU leaves in RAM is locked for it, unless it refuses.
std::string lock_ram() {
  const Script script{.model = kStoryteller, .prompt_tokens = 40, .generated_tokens = 4};
  Trace reference;
  PlanSummary all;
  std::string text = run_whole(script, HostGpuKind::discrete, &reference, &all);
  if (!text.empty()) return text;
  EngineOptions options = resident_options(script);
  options.gpu_budget = {.kind = GpuBudget::Kind::bytes, .bytes = gpu_bytes(all, 0.35)};
  options.gpu_takes_experts = false;
  for (const bool allowed : {true, false}) {
    let_host_gpu_lock(allowed);
    auto engine = Engine::open(options);
    if (!engine.ok()) return engine.status().to_string();
    const uint64_t below = all.gpu.weight_bytes - (*engine)->plan().gpu.weight_bytes;
    const uint64_t locked = host_gpu_locked_bytes();
    if (allowed ? locked < below : locked != 0) return fmt::format("{} of {} B", locked, below);
    auto trace = run_script(**engine, script);
    if (!trace.ok()) return trace.status().to_string();
    if (text = difference(reference, *trace); !text.empty()) return text;
  }
  if (host_gpu_locked_bytes() != 0) return "RAM is still locked";
  return std::string();
}

TEST(GpuMemory, WhatItCopiesFromRamIsLocked) { EXPECT_EQ(in_child(lock_ram, kSeconds), ""); }

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
            "--gpu-budget 8.0 GiB: there is no GPU with memory of its own");
  const auto with_gpu = [](const GpuBudget& budget) {
    register_host_gpu(kFree, kFree);
    return error_of(budget);
  };
  EXPECT_EQ(in_child([&] { return with_gpu(some); }, kSeconds),
            "--gpu-budget 8.0 GiB: the GPU has 3.5 GiB to give");
  EXPECT_EQ(in_child([&] { return with_gpu({.kind = GpuBudget::Kind::bytes, .bytes = 4096}); },
                     kSeconds),
            "--gpu-budget 4 KiB holds no layer of this model");
  const auto with_unified = [&] {
    register_host_gpu(kFree, kFree, HostGpuKind::unified);
    return error_of(some);
  };
  EXPECT_EQ(in_child(with_unified, kSeconds),
            "--gpu-budget 8.0 GiB: a GPU that the CPU plays computes in RAM, which --ram-budget "
            "bounds");
}

}  // namespace
}  // namespace hypura::golden
