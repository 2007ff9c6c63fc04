// hypura_load_cost MODEL [BUDGET]: what a streamed load costs beyond llama.cpp's vocabulary-only
// load of the same file, pinned weights excepted. Medians of ten loads of each, interleaved, warm.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/llama_log.h"

namespace {

constexpr int kLoads = 10;

double seconds(const std::function<void()>& work) {
  const double start = hypura::now_seconds();
  work();
  return hypura::now_seconds() - start;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[values.size() / 2] + values[(values.size() - 1) / 2]) / 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fputs("usage: hypura_load_cost MODEL [BUDGET]\n", stderr);
    return 2;
  }
  hypura::quiet_llama_log(false);
  const hypura::Result<hypura::RamBudget> budget =
      hypura::parse_ram_budget(argc == 3 ? argv[2] : "min");
  if (!budget.ok()) return 2;
  std::vector<double> vocabulary_seconds;
  std::vector<double> streamed_seconds;
  uint64_t beside_pinned_bytes = 0;
  for (int i = 0; i < kLoads; ++i) {
    vocabulary_seconds.push_back(seconds([&] {
      llama_model_params params = llama_model_default_params();
      params.vocab_only = true;
      llama_model_free(llama_model_load_from_file(argv[1], params));
    }));
    std::unique_ptr<hypura::Engine> engine;
    streamed_seconds.push_back(seconds([&] {
      hypura::EngineOptions options;
      options.model_path = argv[1];
      options.ram_budget = *budget;
      options.params.cpuparams.n_threads = 2;
      options.params.cpuparams_batch.n_threads = 2;
      options.params.n_ctx = 1024;
      auto opened = hypura::Engine::open(options);
      if (!opened.ok()) std::fputs((opened.status().to_string() + "\n").c_str(), stderr);
      if (opened.ok()) engine = *std::move(opened);
    }));
    if (engine == nullptr) return 1;
    const hypura::ResidencyStats stats = engine->stats().residency;
    beside_pinned_bytes = stats.bytes_read - stats.pinned_bytes_read;
  }
  fmt::print("vocabulary only {:.3f} s, streamed {:.3f} s, beyond {:.3f} s; "
             "read beside pinned {} B\n",
             median(vocabulary_seconds), median(streamed_seconds),
             median(streamed_seconds) - median(vocabulary_seconds), beside_pinned_bytes);
  return 0;
}
