#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench/sample.h"
#include "cli/bench/statistics.h"
#include "machine/description.h"
#include "plan/bound.h"

namespace hypura::cli {

struct BenchArm {
  std::string name;
  std::vector<std::string> words;  // what its children run
  int tokens = 0;
  bool limited = false;    // runs in the memory group
  bool in_memory = false;  // holds the whole model: its token time is computing
  bool stock = false;      // llama.cpp's own program
  std::vector<BenchSample> samples;
};

// All that was measured, and under which conditions.
struct BenchReport {
  std::string model_path;
  std::string architecture;
  std::string quantization;
  uint64_t weight_bytes = 0;
  TokenBytes token_bytes;
  MachineDescription machine;
  std::string ram_budget;    // as it was typed
  bool fast_prompt = false;  // the hypura arm repacks what stays
  uint64_t limit_bytes = 0;  // 0: none
  bool warm = false;
  int samples = 0;  // wanted, of each arm
  int warmup = 0;
  int tokens = 0;       // a sample
  int slow_tokens = 0;  // a sample of mmap
  int timeout_seconds = 0;
  int context = 0;
  std::string prompt;
  std::vector<std::string> llama;  // options for every child
  std::string drive_device;
  bool drive_direct = false;
  std::vector<double> drive_gbps;  // every measurement
  std::vector<BenchArm> arms;
  std::vector<std::string> notes;  // what a reader must know
  bool partial = false;            // interrupted
};

// How near the hypura arm came to what the drive and the CPU allow.
struct BoundSummary {
  Bound bound;  // with the medians
  double memory_bytes = 0;
  double drive_gbps = 0;
  double compute_seconds = 0;
  std::string compute_from;     // which arm told
  MedianInterval of_the_bound;  // actual / bound: 1.12 is 12 % slower than possible
};

struct ArmSummary {
  const BenchArm* arm = nullptr;
  size_t failures = 0;
  std::string first_failure;
  size_t timeouts = 0;
  // nullopt where no sample tells.
  std::optional<MedianInterval> decode_tps;
  std::optional<MedianInterval> prefill_tps;
  std::optional<MedianInterval> ttft_seconds;
  std::optional<MedianInterval> token_bytes;
  std::optional<MedianInterval> token_stall_seconds;
  std::optional<MedianInterval> expert_hit_rate;
  uint64_t peak_resident_bytes = 0;
  uint64_t group_peak_bytes = 0;  // 0: unknown
  uint64_t tokens = 0;            // the most a sample has
  std::optional<BoundSummary> bound;
};

// hypura over another arm, taken within each round.
struct RatioSummary {
  std::string to;
  MedianInterval ratio;
};

struct BenchSummary {
  std::vector<ArmSummary> arms;  // in the report's order
  std::vector<RatioSummary> ratios;
  std::optional<MedianInterval> drive_gbps;
};

// The report outlives its summary.
BenchSummary summarise(const BenchReport& report);

// What the greedy texts say about each other.
struct TextCheck {
  bool agree = true;
  std::string message;
};

// Compares token by token what tells its tokens, and letter by letter what does not, each as far as
// the shorter goes; repacked samples only among each other, for repacking changes bits.
TextCheck compare_texts(const std::vector<BenchArm>& arms);

}  // namespace hypura::cli
