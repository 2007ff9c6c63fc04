#include "cli/run.h"

#include <memory>
#include <utility>

#include "cli/chat/interactive.h"
#include "cli/command_line.h"
#include "cli/one_prompt.h"
#include "cli/plan/history_file.h"
#include "cli/plan/saved.h"
#include "cli/run_options.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

RunCommand run_command(std::string& plan_file, bool& no_history) {
  return {.name = "run",
          .description = "Generates text with a GGUF model of any size.",
          .describe = [&plan_file, &no_history](CommandLine& line) {
            line.option("--plan", plan_file,
                        "a plan that `hypura plan MODEL --save FILE` wrote: budget, mode, context, "
                        "micro-batch, threads, KV types, draft, and what stays in RAM",
                        "FILE");
            line.flag("--no-history", no_history, kNoHistoryHelp);
          }};
}

}  // namespace

CommandDescription describe_run() {
  std::string plan_file;
  bool no_history = false;
  return describe(run_command(plan_file, no_history));
}

Status run(const std::vector<std::string>& arguments) {
  std::string plan_file;
  bool no_history = false;
  const RunCommand command = run_command(plan_file, no_history);
  Result<RunOptions> parsed = parse_run_options(arguments, command);
  if (!parsed.ok()) return parsed.status();
  RunOptions options = *std::move(parsed);
  if (options.help) {
    return write_answer(run_help(command)) ? Status() : write_failure();
  }
  if (!no_history) options.history_file = history_path();
  if (!plan_file.empty()) {
    if (Status status = carry_out(plan_file, options); !status.ok()) return status;
  }
  RunReport report;
  Result<std::unique_ptr<Engine>> engine = open_model(options, report);
  if (!engine.ok()) return engine.status();
  if (options.interactive) {
    write_note(plan_text(**engine) + "\n");
    Status status = chat(**engine, options.history_file);
    save_statistics(**engine);
    return status;
  }
  Result<std::vector<llama_token>> prompt = encode_prompt(**engine, options);
  if (!prompt.ok()) return prompt.status();
  return answer_prompt(**engine, options, *prompt, report);
}

}  // namespace hypura::cli
