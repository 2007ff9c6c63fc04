#pragma once

#include <cstdint>
#include <optional>

#include "backend/cache_sizer.h"
#include "machine/pressure.h"
#include "plan/elastic.h"

namespace hypura {

// What became of the caches' memory.
struct ElasticStats {
  uint64_t looks = 0;
  uint64_t look_ns = 0;
  uint64_t steps = 0;             // changes
  uint64_t longest_step_ns = 0;
  uint64_t given_back_bytes = 0;  // to others, all in all
  uint64_t taken_back_bytes = 0;
  uint64_t cache_most = 0;        // what the plan gave caches
  uint64_t cache_least = 0;       // the least that they came to
  uint64_t cache_last = 0;
};

// Keeps an automatic budget automatic: looks at the machine's memory while the model computes and
// has caches follow it. Used by the walk's thread; there is none of its own, as a look costs less
// than waking one.
class MemoryWatch final : public CacheSizer {
 public:
  // `cache` is what caches have now.
  MemoryWatch(const ElasticMemory& memory, const CacheBytes& cache);

  bool due() override;
  std::optional<uint64_t> decide(const CacheBytes& cache) override;
  void on_changed(const CacheBytes& cache, uint64_t ns) override;

  const ElasticStats& stats() const { return stats_; }

 private:
  PressureGauge gauge_;
  ElasticPolicy policy_;
  ElasticStats stats_;
  uint64_t due_ns_ = 0;
};

}  // namespace hypura
