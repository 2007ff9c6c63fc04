#pragma once

#include <cstdint>
#include <optional>

#include "machine/pressure.h"

namespace hypura {

// Numbers of the policy. Shares are of ElasticMemory::reserve_bytes, unless they say otherwise.
struct ElasticOptions {
  double low_share = 0.5;         // less room than this: shrink, until the whole reserve is there
  double growth_share = 1.0;      // more than this: grow into what is beyond
  double stalled_factor = 2;      // both are so many reserves while somebody waits for memory
  double stalled_min = 0.1;       // share of time that counts as waiting,
  uint64_t major_faults_min = 64;  // or major faults of ours in one look
  double foresight_seconds = 0.3;  // what others take goes on for so long,
  double noise_share = 0.0625;     // unless it is less than this in one look
  double quiet_seconds = 5;        // without pressure before anything grows
  double growth_seconds = 0.25;    // between two steps of growth,
  double growth_a_second = 0.02;   // share of the caches' most
  uint64_t growth_bytes_max = uint64_t{64} << 20;   // a step: 20-50 ms to make pages present
  uint64_t shrink_bytes_max = uint64_t{512} << 20;  // 30 ms of 4 KiB pages, 1 ms of 2 MiB ones
};

// What there is to decide on.
struct ElasticMemory {
  uint64_t promised_bytes = 0;  // what the process may come to with full caches
  uint64_t reserve_bytes = 0;   // what others are left of the memory that was free at open
  uint64_t cache_least = 0;
  uint64_t cache_most = 0;
};

// How many bytes caches should have, from what the machine has left. Room is what is available less
// what this process was promised and did not touch yet; it starts near the reserve. Others that
// take memory make it less: caches then shrink at once by what is missing, and by what others will
// have taken before the next look at their pace. They grow back slowly, once there was quiet for a
// while. Room between half of the reserve and all of it changes nothing, so noise does not make
// caches shrink and grow in turns. Pure: a history of facts gives one history of decisions.
class ElasticPolicy {
 public:
  explicit ElasticPolicy(const ElasticMemory& memory, const ElasticOptions& options = {});

  // The bytes that caches should have, which have `cache_bytes` now; nullopt for no change. Growing
  // by less than `cache_step` may change nothing. REQUIRES: facts.seconds never go back;
  // cache_bytes <= cache_most.
  std::optional<uint64_t> decide(const MemoryFacts& facts, uint64_t cache_bytes,
                                 uint64_t cache_step);

 private:
  std::optional<uint64_t> grow(double seconds, double beyond_bytes, uint64_t cache_bytes,
                               uint64_t cache_step);

  ElasticMemory memory_;
  ElasticOptions options_;
  std::optional<MemoryFacts> last_;
  std::optional<double> pressed_seconds_;  // when there last was pressure
  double grown_seconds_ = 0;               // when caches last grew
};

}  // namespace hypura
