// A healthy drive that answers in any order and at any time: always the right bits. HYPURA_SEED
// sets the first seed; a failing one is printed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "engine/llama_log.h"
#include "golden/golden.h"
#include "io/sim_device.h"

namespace hypura {
namespace {

constexpr uint32_t kSeeds = 200;
constexpr unsigned kHangSeconds = 600;

// Expert pools that are packed, as nothing in them fits disk blocks, and pools in place; both have
// fewer slots at the least budget than a batch of a prompt uses, and the second and third one
// transit slots. And a ring.
constexpr const char* kShapes[] = {
    "--arch qwen3moe --layers 2 --embd 288 --heads 4 --kv-heads 2 --head-dim 64 --experts 9 "
    "--used 3 --expert-ff 96 --quant MXFP4",
    "--arch qwen3moe --layers 3 --embd 512 --heads 8 --kv-heads 4 --experts 16 --used 4 "
    "--expert-ff 256 --quant q4_k_m",
    "--arch qwen3moe --layers 2 --embd 288 --heads 4 --kv-heads 2 --head-dim 64 --experts 128 "
    "--used 8 --expert-ff 64 --quant MXFP4",
    "--arch llama --layers 3 --embd 512 --ff 1024 --heads 8 --kv-heads 4 --quant q4_k_m"};

SimOptions draw_drive(uint32_t seed) {
  std::mt19937 random(seed);
  return {.seed = seed,
          .depth = 1 + static_cast<uint32_t>(random() % 32),
          .latency_ns = uint64_t{1} << (random() % 12),
          .faults = {.latency_spike = random() % 2 == 0 ? 0.1 : 0}};
}

class Timing : public testing::TestWithParam<const char*> {};

TEST_P(Timing, RightBits) {
  quiet_llama_log(false);
  const std::string folder = testing::TempDir() + "hypura-timing";
  std::filesystem::create_directories(folder);
  golden::Script script{.model = folder + "/m.gguf",
                        .prompt_tokens = 41,
                        .generated_tokens = 4,
                        .micro_batch = 20};
  const std::string command =
      fmt::format("{} {} --vocab 1024 --out {} > {}/log 2>&1", HYPURA_MAKE_MODEL, GetParam(),
                  script.model, folder);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;

  golden::Trace resident;
  uint64_t least_bytes = 0;
  uint64_t weight_bytes = 0;
  {
    auto engine = Engine::open(golden::resident_options(script));
    ASSERT_TRUE(engine.ok()) << engine.status().to_string();
    auto trace = golden::run_script(**engine, script);
    ASSERT_TRUE(trace.ok());
    resident = *std::move(trace);
    weight_bytes = std::filesystem::file_size(script.model);
    auto least =
        Engine::open(golden::streamed_options(script, {.kind = RamBudget::Kind::minimum}));
    ASSERT_TRUE(least.ok()) << least.status().to_string();
    least_bytes = (*least)->plan().budget_bytes;
  }

  const char* first = std::getenv("HYPURA_SEED");
  const uint32_t first_seed =
      first == nullptr ? 1 : static_cast<uint32_t>(std::strtoul(first, nullptr, 10));
  alarm(kHangSeconds);
  for (uint32_t seed = first_seed; seed < first_seed + kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    EngineOptions options = golden::streamed_options(
        script, {.kind = RamBudget::Kind::bytes, .bytes = least_bytes + random() % weight_bytes});
    options.make_device = [&] { return make_sim_device(draw_drive(seed)); };
    auto engine = Engine::open(options);
    ASSERT_TRUE(engine.ok()) << engine.status().to_string();
    auto trace = golden::run_script(**engine, script);
    ASSERT_TRUE(trace.ok()) << trace.status().to_string();
    ASSERT_EQ(golden::difference(resident, *trace), "");
  }
  alarm(0);
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Timing, testing::ValuesIn(kShapes));

}  // namespace
}  // namespace hypura
