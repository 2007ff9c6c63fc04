#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"
#include "plan/budget.h"

namespace hypura::cli {

inline constexpr const char* kHypuraArm = "hypura";
inline constexpr const char* kMmapArm = "mmap";
inline constexpr const char* kResidentArm = "resident";

enum class BenchOutput : uint8_t { markdown, json, csv };

struct BenchOptions {
  // What children are held to.
  struct Limit {
    enum class Kind : uint8_t { automatic, off, bytes };
    Kind kind = Kind::automatic;
    uint64_t bytes = 0;
  };

  std::string model;
  std::string ram_budget = "auto";  // as it was typed
  bool fast_prompt = false;         // of the hypura arm
  std::string draft;                // for the hypura arm, as it was typed; empty: none
  RamBudget budget;
  std::string prompt = "Tell me about the river and the old mill.";
  int tokens = 32;
  int slow_tokens = 8;
  int samples = 6;
  int warmup = 1;
  int timeout_seconds = 600;
  int context = 1024;
  bool warm = false;
  Limit limit;
  std::vector<std::string> arms = {kHypuraArm, kMmapArm, kResidentArm};
  std::string stock;          // llama-completion, in place of our own mmap arm
  bool stock_repack = false;  // it may copy its weights into another order
  uint64_t drive_bytes = 0;
  BenchOutput output = BenchOutput::markdown;
  std::string save;                // where to write the JSON too; empty: nowhere
  std::string old_report;          // to compare with; empty: none
  std::vector<std::string> llama;  // options for every child
  bool help = false;
};

// The arguments after `bench`. Errors: invalid_argument.
Result<BenchOptions> parse_bench_options(const std::vector<std::string>& arguments);

std::string bench_help();
CommandDescription describe_bench();

}  // namespace hypura::cli
