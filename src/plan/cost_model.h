#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/profile.h"
#include "model/layout.h"
#include "model/model_index.h"
#include "model/tensor_use.h"

namespace hypura {

// What is asked of a model: where in a context it decodes, and how it takes prompts.
struct Workload {
  uint32_t experts_used = 0;      // routed a token; 0 if there are none
  double kv_bytes_per_token = 0;  // of the cache
  uint32_t kv_tokens = 512;       // in the cache while decoding
  uint32_t prompt_tokens = 512;
  uint32_t micro_batch = 512;
  int threads = 0;       // 0: as many as were profiled
  int threads_batch = 0;  // of prompts; 0: as `threads`
  uint32_t graph_nodes = 0;  // that a graph computes; 0: not known
  bool prefetch = true;  // guesses the next layer's experts
  // Skew of routing: an expert of rank r is chosen as r^-heat. 0: evenly, the hardest case.
  double heat = 0;
  // A run with an empty cache of experts: so many tokens are decoded after so many of a prompt. 0:
  // the cache is as full as it gets.
  uint32_t cold_tokens = 0;
  uint32_t cold_tokens_before = 0;
};

struct CostInput {
  const ModelIndex& index;
  const std::vector<TensorUse>& uses;
  const MachineProfile& machine;
  Workload work;
  // Null: everything is in memory. A tensor on the GPU has Home::unused in it.
  const Layout* layout = nullptr;
  // By tensor; empty: none. With the rates of main_gpu().
  std::vector<bool> on_gpu = {};
  // By tensor, how many of its experts can be on the GPU at a time, which computes with all that
  // are used: what is missed is copied there. 0: they compute where they lie; empty: all do.
  std::vector<uint32_t> gpu_slots = {};
  // The GPU also computes batches of tokens with what lies below it, which is copied there.
  bool gpu_batches = false;
};

struct Range {
  double low = 0;
  double middle = 0;
  double high = 0;
};

// A token's time and its parts, which overlap: `token_seconds` is less than their sum.
struct TokenCost {
  double token_seconds = 0;
  double ram_seconds = 0;  // kernels on weights in RAM, streamed ones too
  double gpu_seconds = 0;
  double kv_seconds = 0;    // the cache, read by attention
  double call_seconds = 0;  // graphs handed to the kernels
  double node_seconds = 0;  // their nodes, beside what these compute
  double read_bytes = 0;    // missed
  double read_seconds = 0;  // at the rate that such reads get
  double wait_seconds = 0;  // what computing waited for them
  double hit_share = 1;     // of the routed experts, in RAM or the GPU's memory
  double host_seconds = 0;  // asking for what was missed, by the thread that computes
  double upload_bytes = 0;  // copied to the GPU
  double upload_seconds = 0;
  double gpu_hit_share = 1;  // of the experts that are copied there, in its memory before
  double compute_seconds() const {
    return ram_seconds + gpu_seconds + kv_seconds + call_seconds + node_seconds + host_seconds;
  }
  // Rather than computing, or the bus to the GPU.
  bool reads_longest() const { return read_seconds > std::max(compute_seconds(), upload_seconds); }
  double read_gbps() const { return read_seconds > 0 ? read_bytes * 1e-9 / read_seconds : 0; }
};

struct PromptCost {
  double seconds = 0;  // 0: compute rates of batches are not known
  double compute_seconds = 0;
  double read_bytes = 0;
  double read_seconds = 0;
  double upload_bytes = 0;  // copied to the GPU
  double upload_seconds = 0;
  double touch_seconds = 0;  // slots of experts becoming present: of a run's first prompt
  bool reads_longest() const { return read_seconds > std::max(compute_seconds, upload_seconds); }
};

struct Prediction {
  TokenCost token;
  PromptCost prompt;
  Range decode_tps;
  Range prompt_tps;
  std::string bottleneck;  // "drive: 213.0 MiB a token at 2.4 GB/s"
  std::string prompt_bottleneck;
};

// How tensors are used where no graph was seen: by role.
std::vector<TensorUse> assumed_uses(const ModelIndex& index);

// The share of routed slices that `slots` of a pool of `tensors` tensors with `experts` each hold.
// None where one token needs more than there are: a pool is overwritten before it is used again
// (docs/experiments.md, "Expert slots below one token's working set").
double expected_hits(uint64_t slots, uint64_t tensors, uint32_t experts, uint32_t used,
                     double heat);

// The same on average over the first tokens of a cache that starts empty: no more can hit than have
// been used. Of `experts` that are chosen evenly, n tokens have used 1 - (1 - used / experts)^n.
double expected_cold_hits(double full_hits, uint32_t experts, const Workload& work);

// From what a machine can do to what a model will do on it. Nothing in here is fitted to a model's
// speed: every term is bytes over a rate of the profile, or calls times its overhead.
// Pure, deterministic. REQUIRES: uses and layout are of the index.
Prediction predict(const CostInput& input);

// "fast" above 10 tokens a second, "usable" above 2, else "slow".
const char* fit_class(double decode_tps);

}  // namespace hypura
