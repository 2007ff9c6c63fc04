#include "machine/memory_bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/units.h"

namespace hypura {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kRoundSeconds = 0.02;
constexpr size_t kStepBytes = 256 * kKiB;  // between looks at the clock

// Reads it all. Eight sums in registers: as an array in memory they bound it to 12 GB/s a core.
uint64_t sum_of(const std::byte* data, size_t bytes) {
  const uint64_t* words = reinterpret_cast<const uint64_t*>(data);
  uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  for (size_t i = 0; i + 8 <= bytes / sizeof(uint64_t); i += 8) {
    a += words[i];
    b += words[i + 1];
    c += words[i + 2];
    d += words[i + 3];
    e += words[i + 4];
    f += words[i + 5];
    g += words[i + 6];
    h += words[i + 7];
  }
  return a + b + c + d + e + f + g + h;
}

struct Part {
  std::span<const std::byte> memory;
  Clock::time_point start;  // of all threads
  std::vector<double> round_gbps;
  uint64_t sum = 0;  // or a compiler would read nothing
};

// A thread's own bytes over its own time: threads need not wait for each other between rounds.
void read_rounds(Part& part, const std::atomic<bool>* stop) {
  std::this_thread::sleep_until(part.start);
  size_t at = 0;
  for (double& gbps : part.round_gbps) {
    const Clock::time_point begin = Clock::now();
    double seconds = 0;
    uint64_t bytes = 0;
    while (seconds < kRoundSeconds) {
      if (stop != nullptr && stop->load(std::memory_order_relaxed)) return;
      const size_t step = std::min(kStepBytes, part.memory.size() - at);
      part.sum += sum_of(part.memory.data() + at, step);
      bytes += step;
      at = at + step == part.memory.size() ? 0 : at + step;
      seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    gbps = static_cast<double>(bytes) * 1e-9 / seconds;
  }
}

}  // namespace

Repeated memory_read_gbps(std::span<const std::byte> memory, int threads, double seconds,
                          const std::atomic<bool>* stop) {
  const size_t count = static_cast<size_t>(std::max(1, threads));
  const size_t part_bytes = round_down(memory.size() / count, 64);
  Repeated gbps;
  if (part_bytes == 0) return gbps;
  const size_t rounds = static_cast<size_t>(std::max(3.0, seconds / kRoundSeconds));
  const Clock::time_point start = Clock::now() + std::chrono::milliseconds(5);
  std::vector<Part> parts(count);
  {
    std::vector<std::jthread> workers;
    for (size_t i = 0; i < count; ++i) {
      parts[i].memory = memory.subspan(i * part_bytes, part_bytes);
      parts[i].start = start;
      parts[i].round_gbps.resize(rounds);
      workers.emplace_back([&part = parts[i], stop] { read_rounds(part, stop); });
    }
  }
  if (stop != nullptr && stop->load(std::memory_order_relaxed)) return gbps;
  static std::atomic<uint64_t> keep;
  for (size_t round = 0; round < rounds; ++round) {
    double sum = 0;
    for (const Part& part : parts) {
      sum += part.round_gbps[round];
      keep.fetch_add(part.sum, std::memory_order_relaxed);
    }
    gbps.add(sum);
  }
  return gbps;
}

}  // namespace hypura
