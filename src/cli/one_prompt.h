#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "engine/engine.h"

namespace hypura::cli {

// The steps of a command that opens a model and answers one prompt.

// Opens the model, with progress on the terminal. `report` gets what loading took. The engine stops
// on Ctrl-C from here on.
Result<std::unique_ptr<Engine>> open_model(RunOptions& options, RunReport& report);

// The prompt of the options, in the chat template if they say so.
// Errors: invalid_argument if there is none, or no template for it.
Result<std::vector<llama_token>> encode_prompt(const Engine& engine, const RunOptions& options);

// Generates: the plan to stderr, the text to stdout as it comes, the summary to stderr. With --json
// one object to stdout at the end.
Status answer_prompt(Engine& engine, const RunOptions& options,
                     const std::vector<llama_token>& prompt, RunReport& report);

// Keeps what was learnt about the model; a warning if that fails.
void save_statistics(const Engine& engine);

// The end of an answer: with --json the object, else a line break and the summary.
Status write_report(const Engine& engine, const RunOptions& options, const RunReport& report);

}  // namespace hypura::cli
