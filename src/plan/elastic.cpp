#include "plan/elastic.h"

#include <algorithm>

namespace hypura {
namespace {

// What we have or could have: only others change it.
double ours(const MemoryFacts& facts) {
  return static_cast<double>(facts.available_bytes) + static_cast<double>(facts.resident_bytes);
}

}  // namespace

ElasticPolicy::ElasticPolicy(const ElasticMemory& memory, const ElasticOptions& options)
    : memory_(memory), options_(options) {}

std::optional<uint64_t> ElasticPolicy::decide(const MemoryFacts& facts, uint64_t cache_bytes,
                                               uint64_t cache_step) {
  const bool stalled = facts.stalled_share >= options_.stalled_min ||
                       facts.major_faults >= options_.major_faults_min;
  const double reserve =
      static_cast<double>(memory_.reserve_bytes) * (stalled ? options_.stalled_factor : 1);
  const double promised_bytes =
      static_cast<double>(memory_.promised_bytes - (memory_.cache_most - cache_bytes));
  const double room_bytes = ours(facts) - promised_bytes;
  double soon_bytes = 0;
  if (last_ && facts.seconds > last_->seconds) {
    const double taken_bytes = ours(*last_) - ours(facts);
    if (taken_bytes > options_.noise_share * reserve) {
      soon_bytes = taken_bytes / (facts.seconds - last_->seconds) * options_.foresight_seconds;
    }
  }
  last_ = facts;

  const double low_bytes = stalled ? reserve : options_.low_share * reserve;
  if (room_bytes - soon_bytes < low_bytes) {
    pressed_seconds_ = facts.seconds;
    const double missing_bytes = std::min(reserve + soon_bytes - room_bytes,
                                          static_cast<double>(options_.shrink_bytes_max));
    const double wanted_bytes = std::max(static_cast<double>(memory_.cache_least),
                                         static_cast<double>(cache_bytes) - missing_bytes);
    const uint64_t target = static_cast<uint64_t>(wanted_bytes);
    return target < cache_bytes ? std::optional(target) : std::nullopt;
  }
  return grow(facts.seconds, room_bytes - options_.growth_share * reserve, cache_bytes, cache_step);
}

std::optional<uint64_t> ElasticPolicy::grow(double seconds, double beyond_bytes,
                                            uint64_t cache_bytes, uint64_t cache_step) {
  if (cache_bytes >= memory_.cache_most) return std::nullopt;
  if (pressed_seconds_ && seconds < *pressed_seconds_ + options_.quiet_seconds) return std::nullopt;
  const double pace = options_.growth_a_second * static_cast<double>(memory_.cache_most);
  const double least_bytes = static_cast<double>(std::max<uint64_t>(1, cache_step));
  const double wait = std::max(options_.growth_seconds, least_bytes / pace);
  if (seconds < grown_seconds_ + wait) return std::nullopt;
  const double usual_bytes = std::max(
      least_bytes, std::min(wait * pace, static_cast<double>(options_.growth_bytes_max)));
  // The last step may be a smaller one.
  const double left_bytes = static_cast<double>(memory_.cache_most - cache_bytes);
  const double step_bytes = std::min(usual_bytes, beyond_bytes);
  if (step_bytes < std::min(least_bytes, left_bytes)) return std::nullopt;
  grown_seconds_ = seconds;
  return cache_bytes + static_cast<uint64_t>(std::min(step_bytes, left_bytes));
}

}  // namespace hypura
