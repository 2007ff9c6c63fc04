#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "plan/mode.h"

namespace hypura {

// compute: all that is not the drive.
enum class Bottleneck : uint8_t { compute, drive };
const char* to_string(Bottleneck bottleneck);

// What a run has in common with others that tell something about it.
struct RunKind {
  std::string profile;  // profile_id(), of the machine and its drive, as they were measured
  std::string model;    // metadata_hash()
  Mode mode = Mode::resident;
  Bottleneck decode = Bottleneck::compute;  // as predicted
  Bottleneck prompt = Bottleneck::compute;
};

// Tokens a second. Both 0: too few tokens to tell.
struct PastSpeed {
  double predicted_tps = 0;  // by the cost model alone, before past runs corrected it
  double actual_tps = 0;
  bool known() const { return predicted_tps > 0; }
};

struct PastRun {
  RunKind kind;
  std::string date;  // "2026-11-22T20:10:00Z"
  uint32_t prompt_tokens = 0;
  uint32_t tokens = 0;
  PastSpeed decode;
  PastSpeed prompt;
};

// The ring: the newest runs, the oldest of them first.
inline constexpr size_t kPastRunsMax = 200;
void add_run(std::vector<PastRun>& runs, PastRun run);

// A full ring of ours has less than 100 KiB.
inline constexpr size_t kHistoryBytesMax = size_t{256} << 10;

// One line. Of the ring: a JSON object with a run a line, "schema": 1. It becomes another schema
// when the cost model predicts so differently that old runs say nothing about new ones.
std::string to_json(const PastRun& run);
std::string history_json(const std::vector<PastRun>& runs);

// The inverse, for text that anybody may have written. What it accepts are at most kPastRunsMax
// runs, each with a speed, of finite rates in bounds, and ids and dates of plain characters. Error:
// failed, with what is wrong.
Result<std::vector<PastRun>> parse_history(std::string_view text);

}  // namespace hypura
