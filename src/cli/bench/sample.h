#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hypura::cli {

// What one run of one arm achieved. decode_tps 0: it did not get that far, and `failure` says why.
struct BenchSample {
  double decode_tps = 0;
  double prefill_tps = 0;
  double ttft_seconds = 0;
  double load_seconds = 0;
  double seconds = 0;   // of the whole process
  uint64_t tokens = 0;  // generated
  std::string text;
  std::vector<int> token_ids;  // empty: the program does not tell
  bool repacked = false;       // computed other bits than the rest
  bool timed_out = false;
  std::string failure;
  uint64_t peak_resident_bytes = 0;
  std::optional<uint64_t> group_peak_bytes;  // page cache included

  // hypura's own figures; of the decoded tokens, without the prompt.
  std::string mode;
  uint64_t budget_bytes = 0;  // 0: none
  uint64_t fixed_bytes = 0;   // KV, activations and buffers
  double token_bytes = 0;     // read a token
  double token_stall_seconds = 0;
  std::optional<double> expert_hit_rate;
  double drive_gbps = 0;  // raw, around this sample; 0: not measured
};

// From what `hypura run --json` printed. False, and the sample unchanged, if that is no such
// object.
bool read_run_json(std::string_view out, BenchSample& sample);

// From the text and the "eval time" lines of llama.cpp's llama-completion. False without the
// latter.
bool read_stock_output(std::string_view out, std::string_view err, BenchSample& sample);

}  // namespace hypura::cli
