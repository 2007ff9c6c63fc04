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

std::vector<std::string> options_of_a_run() { return {"--draft", "--draft-depth", "--json"}; }

Status refuse_what_is_of_a_run(const RunOptions& options) {
  if (options.interactive || options.chat || options.json) {
    return Status(StatusCode::invalid_argument, "-i, -cnv and --json are options of a run")
        .suggest("hypura run");
  }
  if (options.engine.draft.kind != DraftOptions::Kind::none) {
    return Status(StatusCode::invalid_argument, "a server has no drafts yet")
        .because("llama.cpp's server would load the draft apart from our budget")
        .suggest("hypura run with --draft");
  }
  return Status();
}

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
