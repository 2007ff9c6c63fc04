#include "engine/memory_watch.h"

#include <algorithm>
#include <chrono>

namespace hypura {
namespace {

// A program that touches memory as fast as pages are cleared takes the reserve, a twentieth of what was
// free, in 0.3-0.6 s. A look costs 13 us: 0.05 % of the time.
constexpr uint64_t kLookEveryNs = 25'000'000;

uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

MemoryWatch::MemoryWatch(const ElasticMemory& memory, const CacheBytes& cache) : policy_(memory) {
  stats_.cache_least = stats_.cache_last = cache.now;
}

bool MemoryWatch::due() { return now_ns() >= due_ns_; }

std::optional<uint64_t> MemoryWatch::decide(const CacheBytes& cache) {
  const uint64_t start = now_ns();
  note(stats_, cache.now);
  const MemoryFacts facts = gauge_.look();
  const std::optional<uint64_t> bytes = policy_.decide(facts, cache.now);
  ++stats_.looks;
  const uint64_t end = now_ns();
  stats_.look_ns += end - start;
  due_ns_ = end + kLookEveryNs;
  return bytes;
}

ElasticStats MemoryWatch::stats(const CacheBytes& cache) const {
  ElasticStats stats = stats_;
  note(stats, cache.now);
  return stats;
}

// Whole slots and pages are less than was asked for: what counts is what became of it.
void MemoryWatch::note(ElasticStats& stats, uint64_t cache_bytes) const {
  if (cache_bytes == stats.cache_last) return;
  ++stats.steps;
  if (cache_bytes < stats.cache_last) {
    stats.given_back_bytes += stats.cache_last - cache_bytes;
  } else {
    stats.taken_back_bytes += cache_bytes - stats.cache_last;
  }
  stats.cache_least = std::min(stats.cache_least, cache_bytes);
  stats.cache_last = cache_bytes;
}

}  // namespace hypura
