#include "cli/run.h"

#include <memory>
#include <utility>

#include "cli/conversation.h"
#include "cli/one_prompt.h"
#include "cli/run_options.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

const RunCommand kRun{.name = "run",
                      .description = "Generates text with a GGUF model of any size."};

}  // namespace

Status run(const std::vector<std::string>& arguments) {
  Result<RunOptions> parsed = parse_run_options(arguments, kRun);
  if (!parsed.ok()) return parsed.status();
  RunOptions options = *std::move(parsed);
  if (options.help) {
    return write_answer(run_help(kRun)) ? Status() : write_failure();
  }
  RunReport report;
  Result<std::unique_ptr<Engine>> engine = open_model(options, report);
  if (!engine.ok()) return engine.status();
  if (options.interactive) {
    write_note(plan_text(**engine) + "\n");
    Status status = chat(**engine);
    save_statistics(**engine);
    return status;
  }
  Result<std::vector<llama_token>> prompt = encode_prompt(**engine, options);
  if (!prompt.ok()) return prompt.status();
  return answer_prompt(**engine, options, *prompt, report);
}

}  // namespace hypura::cli
