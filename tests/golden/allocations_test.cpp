// Streaming adds no allocation to a token: what llama.cpp allocates by itself is counted resident,
// and must be all there is streamed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "engine/llama_log.h"
#include "golden/golden.h"

namespace {
thread_local uint64_t t_allocations = 0;
}

void* operator new(size_t bytes) {
  ++t_allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace hypura::golden {
namespace {

constexpr int kWarmUpTokens = 96;
constexpr int kTokens = 32;

// Allocations of the last kTokens decodes of one token each.
uint64_t allocations(const EngineOptions& options) {
  Result<std::unique_ptr<Engine>> engine = Engine::open(options);
  if (!engine.ok()) {
    ADD_FAILURE() << engine.status().to_string();
    return 0;
  }
  uint64_t before = 0;
  for (int i = 0; i < kWarmUpTokens + kTokens; ++i) {
    if (i == kWarmUpTokens) before = t_allocations;
    llama_token token = 1000 + 37 * (i % kWarmUpTokens);
    const Status status = (*engine)->decode(llama_batch_get_one(&token, 1));
    EXPECT_TRUE(status.ok()) << status.to_string();
  }
  const EngineStats stats = (*engine)->stats();
  if (options.mode != Mode::resident) {
    EXPECT_GT(stats.residency.expert_misses, 0U);
  }
  return t_allocations - before;
}

TEST(Allocations, StreamingAddsNoneToAToken) {
  quiet_llama_log(false);
  const Script script{.model = HYPURA_REPO_DIR "/models/storyteller-moe-q4_k_m.gguf"};
  const uint64_t resident = allocations(resident_options(script));
  EXPECT_GT(resident, 0U);  // the counter counts
  for (const double percent : {110.0, 140.0, 160.0}) {
    EngineOptions options = streamed_options(
        script, {.kind = RamBudget::Kind::percent, .percent = percent});
    for (const PrefetchMode prefetch :
         {PrefetchMode::off, PrefetchMode::router, PrefetchMode::coactivation}) {
      options.prefetch = prefetch;
      EXPECT_LE(allocations(options), resident) << percent << " %";
    }
  }
}

}  // namespace
}  // namespace hypura::golden
