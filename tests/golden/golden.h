#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace hypura::golden {

// What one comparison runs: the same on the resident and on the streamed side.
struct Script {
  std::string model;
  std::string lora;
  int prompt_tokens = 201;
  int generated_tokens = 32;
  int micro_batch = 40;  // leaves a last one of a single token
  int threads = 1;  // more make tiny graphs slow on a busy machine
  int sequences = 1;
  PrefetchMode prefetch = PrefetchMode::automatic;
  CacheSizer* cache_sizer = nullptr;  // of the streamed side
  uint32_t seed = 1;
  ggml_type type_k = GGML_TYPE_F16;
  ggml_type type_v = GGML_TYPE_F16;
  llama_flash_attn_type flash_attention = LLAMA_FLASH_ATTN_TYPE_AUTO;
};

// The logits of every prompt position of every sequence, then of every greedy step.
struct Trace {
  std::vector<std::vector<float>> logits;
  std::vector<llama_token> tokens;  // generated, sequence by sequence in each step
};

// Where a streamed trace first differs from the resident one, in words; empty if nowhere.
std::string difference(const Trace& resident, const Trace& streamed);

EngineOptions resident_options(const Script& script);
EngineOptions streamed_options(const Script& script, const RamBudget& budget);

// Runs the script greedily.
Result<Trace> run_script(Engine& engine, const Script& script);

// Runs the script resident, then streamed at the least budget and at `shares` (of the weights above
// it). Returns what went wrong, empty if all logits were equal and weights really came from the
// drive. REQUIRES: nothing was streamed before in this process, so that the reference is plain
// llama.cpp.
std::string compare_at_budgets(const Script& script, const std::vector<double>& shares);

// Runs `work` in a child process, so that a crash is an answer too. Returns its text, or how it
// died; "timeout" after `seconds`.
std::string in_child(const std::function<std::string()>& work, unsigned seconds);

}  // namespace hypura::golden
