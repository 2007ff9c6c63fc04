#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "machine/profile.h"
#include "machine/repeated.h"

namespace hypura {

// The families that weights come in: a kernel each. A type in between is as fast as its neighbours.
const std::vector<std::string>& probed_types();

struct ComputeProbeOptions {
  std::vector<std::string> types;  // ggml's names; those that it does not have are left out
  std::vector<int> threads;        // the most important first
  uint64_t weight_bytes = uint64_t{64} << 20;  // of memory, to exceed caches; 8 MiB at least
  double seconds = 7;              // about; what is left by then is left out
  const std::atomic<bool>* stop = nullptr;
  std::function<void(double share)> progress;  // may be empty
};

struct ComputeFindings {
  std::vector<ComputeSample> samples;
  std::vector<NodeSample> nodes;  // for each of the thread counts
  double graph_overhead_us = 0;
  double spread = 0;    // of one token's rates, from the median to the fast, median over types
  double slowdown = 0;  // from the first pass over all to the last, the median over types
};

// How fast ggml's own kernels multiply weights that are really quantised: on the CPU backend,
// through our persistent threads, as a streamed model computes. Errors: failed without memory,
// interrupted.
Result<ComputeFindings> probe_compute(const ComputeProbeOptions& options);

// Gigabytes a second of one token's products, again and again for `seconds`, of one type and count
// of threads: for comparing the processor's speed at different times. Used by one thread.
class TokenProbe {
 public:
  // nullptr where ggml does not know the type, or without memory.
  static std::unique_ptr<TokenProbe> create(const std::string& type, int threads,
                                            uint64_t weight_bytes);
  ~TokenProbe();
  Repeated measure(double seconds, const std::atomic<bool>* stop);

 private:
  struct State;
  explicit TokenProbe(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// "AVX2", "NEON": what ggml's CPU backend was built for and found.
std::vector<std::string> cpu_features();

}  // namespace hypura
