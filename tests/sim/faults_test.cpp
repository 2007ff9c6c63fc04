// Thousands of histories of a faulty drive: a run gives the right bits or a clean error, never a
// wrong logit and never a hang. HYPURA_SEED sets the first seed; a failing one is printed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <string>

#include "engine/llama_log.h"
#include "golden/golden.h"
#include "io/sim_device.h"

namespace hypura {
namespace {

constexpr int kSeeds = 500;  // of each of the two models, unless HYPURA_SEEDS says less
constexpr unsigned kHangSeconds = 600;

uint32_t from_environment(const char* name, uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

SimOptions draw_drive(uint32_t seed) {
  std::mt19937 random(seed);
  const auto chance = [&](double most) {
    return std::uniform_real_distribution<double>(0, most)(random);
  };
  SimOptions options{.seed = seed, .depth = 1 + static_cast<uint32_t>(random() % 32)};
  options.faults.eintr = chance(0.3);
  options.faults.short_read = chance(0.3);
  options.faults.eio = chance(0.2);
  options.faults.latency_spike = chance(0.1);
  // Every second drive has blocks that never come back.
  if (random() % 2 == 0) options.faults.eio_permanent = chance(0.003);
  return options;
}

class Faults : public testing::TestWithParam<const char*> {};

TEST_P(Faults, RightBitsOrACleanError) {
  quiet_llama_log(false);
  golden::Script script{.model = std::string(HYPURA_ARCH_DIR) + "/" + GetParam() + ".gguf",
                        .prompt_tokens = 24,
                        .generated_tokens = 4,
                        .micro_batch = 9};
  golden::Trace resident;
  uint64_t least_bytes = 0;
  {
    auto engine = Engine::open(golden::resident_options(script));
    ASSERT_TRUE(engine.ok()) << engine.status().to_string();
    auto trace = golden::run_script(**engine, script);
    ASSERT_TRUE(trace.ok());
    resident = *std::move(trace);
    auto least = Engine::open(
        golden::streamed_options(script, {.kind = RamBudget::Kind::minimum}));
    ASSERT_TRUE(least.ok()) << least.status().to_string();
    least_bytes = (*least)->plan().budget_bytes;
  }

  const uint32_t first_seed = from_environment("HYPURA_SEED", 1);
  const uint32_t seeds = from_environment("HYPURA_SEEDS", kSeeds);
  alarm(kHangSeconds);
  uint32_t right = 0;
  uint32_t failed = 0;
  for (uint32_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << GetParam() << ", seed " << seed);
    std::mt19937 random(seed);
    EngineOptions options = golden::streamed_options(
        script, {.kind = RamBudget::Kind::bytes, .bytes = least_bytes + random() % 2000000});
    options.make_device = [&] { return make_sim_device(draw_drive(seed)); };
    auto engine = Engine::open(options);
    if (!engine.ok()) {
      EXPECT_EQ(engine.status().code(), StatusCode::failed) << engine.status().to_string();
      ++failed;
      continue;
    }
    // Once more with the same engine: a failed read must not leave anything wrong behind.
    for (int attempt = 0; attempt < 2; ++attempt) {
      llama_memory_clear(llama_get_memory((*engine)->context()), true);
      auto trace = golden::run_script(**engine, script);
      if (trace.ok()) {
        ++right;
        ASSERT_EQ(golden::difference(resident, *trace), "");
      } else {
        ++failed;
        EXPECT_EQ(trace.status().code(), StatusCode::failed);
        EXPECT_NE(trace.status().message().find(script.model), std::string::npos)
            << trace.status().to_string();
      }
    }
  }
  alarm(0);
  EXPECT_GT(right, seeds / 4);
  EXPECT_GT(failed, seeds / 20) << "the drives were too good to test anything";
}

INSTANTIATE_TEST_SUITE_P(Models, Faults, testing::Values("qwen3moe-moe", "llama-dense"));

}  // namespace
}  // namespace hypura
