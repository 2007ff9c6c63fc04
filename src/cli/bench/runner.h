#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/status.h"
#include "cli/bench/options.h"
#include "cli/bench/report.h"
#include "engine/drive_probe.h"
#include "model/model_index.h"

namespace hypura::cli {

// Takes the samples: each in a child of its own, in its own memory group, with an empty page cache,
// the arms by turns. Options, index and `stop` outlive it.
class BenchRunner {
 public:
  BenchRunner(const BenchOptions& options, const ModelIndex& index, const std::atomic<bool>& stop);

  // A report that was interrupted is partial, which is no error. Errors: what hypura's own arm
  // refuses (a budget that is too small, a model it cannot load), with its exit code.
  Result<BenchReport> run();

 private:
  Status prepare();
  Status resolve_limit();
  Result<uint64_t> budget_bytes();
  void choose_arms();
  BenchArm make_arm(const std::string& name) const;
  Status run_rounds();
  Result<BenchSample> take_sample(const BenchArm& arm);
  Result<BenchSample> run_in_child(const BenchArm& arm);
  Result<double> measure_drive();
  void empty_page_cache();
  void note(std::string text) { report_.notes.push_back(std::move(text)); }

  const BenchOptions& options_;
  const ModelIndex& index_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<DriveProbe> drive_;
  BenchReport report_;
  int groups_made_ = 0;
  bool cache_noted_ = false;
};

}  // namespace hypura::cli
