#include "cli/serving.h"

#include "cli/interrupt.h"
#include "cli/mapped_file.h"
#include "cli/plan/kv_type.h"
#include "cli/plan/machines.h"
#include "cli/run_options.h"
#include "engine/llama_log.h"
#include "log.h"

namespace hypura::cli {
namespace {

// llama.cpp's level at which it tells everything.
constexpr int kVerbose = 4;

}  // namespace

Status prepare_to_serve(RunOptions& options) {
  EngineOptions& engine = options.engine;
  const bool verbose = engine.params.verbosity >= kVerbose;
  quiet_llama_log(verbose);
  if (!verbose) common_log_pause(common_log_main());
  engine.stop = &interrupt_flag();
  engine.machine = known_machine(engine.model_path);
  watch_mapped_file(engine.model_path);
  return settle_kv_type(options);
}

}  // namespace hypura::cli
