// The hypura command: one word says what to do, cli/ has a file for each.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/bench/bench.h"
#include "cli/doctor.h"
#include "cli/exit_code.h"
#include "cli/inspect.h"
#include "cli/plan/plan.h"
#include "cli/profile.h"
#include "cli/run.h"
#include "cli/suggestion.h"
#include "cli/terminal.h"
#include "cli/trace.h"
#include "llama.h"

namespace hypura::cli {
namespace {

constexpr const char* kVersion = "0.1.0";

constexpr const char* kHelp =
    "Runs large language models that are bigger than the machine's memory.\n"
    "\n"
    "  hypura run MODEL [-p TEXT | -f FILE | -i] [--ram-budget SIZE|NN%|auto|min]\n"
    "             [--gpu-budget SIZE|auto|0]\n"
    "  hypura trace MODEL [-p TEXT | -f FILE] -o FILE [--follow]\n"
    "  hypura inspect MODEL [--tensors] [--json] [--save-header FILE]\n"
    "  hypura plan MODEL [--explain mode] [--what-if +16G-ram,7GB/s] [--save FILE] [--json]\n"
    "  hypura estimate --machine NAME|FILE MODEL|URL|HEADER [--json]\n"
    "  hypura profile [MODEL] [--force] [--json] [--dir DIR]\n"
    "  hypura doctor [MODEL] [--json]\n"
    "  hypura bench MODEL [--ram-budget SIZE|NN%|auto|min] [--samples N] [-o md|json|csv]\n"
    "  hypura --version\n"
    "\n"
    "hypura COMMAND --help has the rest.\n";

Status dispatch(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "-h" || words[0] == "--help" || words[0] == "help") {
    if (words.empty()) {
      return Status(StatusCode::invalid_argument, "no command given").suggest("hypura --help");
    }
    return write_answer(kHelp) ? Status() : write_failure();
  }
  if (words[0] == "--version") {
    return write_answer(fmt::format("hypura {} on llama.cpp v0.5.0\n", kVersion))
               ? Status()
               : write_failure();
  }
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (words[0] == "run") return run(rest);
  if (words[0] == "trace") return trace(rest);
  if (words[0] == "inspect") return inspect(rest);
  if (words[0] == "plan") return plan(rest);
  if (words[0] == "estimate") return estimate(rest);
  if (words[0] == "bench") return bench(rest);
  if (words[0] == "profile") return profile(rest);
  if (words[0] == "doctor") return doctor(rest);
  const std::string meant =
      closest(words[0], {"run", "trace", "inspect", "plan", "estimate", "bench", "profile", "doctor",
                         "help", "--version", "--help"});
  return Status(StatusCode::invalid_argument, fmt::format("unknown command {}", words[0]))
      .suggest(meant.empty() ? "hypura --help" : fmt::format("did you mean {}?", meant));
}

// llama.cpp aborts on what it did not foresee in a model. Nothing can be resumed then, but the user
// still gets one message and an exit code. ggml's message is "/path/to/file.cpp:line: what".
void on_ggml_abort(const char* message) {
  for (const char* c = message; *c != '\0' && *c != ':'; ++c) {
    if (*c == '/') message = c + 1;
  }
  std::fprintf(stderr,
               "error: llama.cpp cannot run this model\n  why: %s\n  try: another model file; "
               "`hypura inspect` shows what this one holds\n",
               message);
  _exit(kInvalidModel);
}

int main_function(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  ggml_set_abort_callback(on_ggml_abort);
  Status status;
  try {
    status = dispatch(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::failed, "out of memory").suggest("a smaller --ram-budget or --ctx");
  } catch (const std::exception& error) {
    status = Status(StatusCode::failed, error.what());
  }
  if (!status.ok() && !status.message().empty() && status.code() != StatusCode::interrupted) {
    write_note(status.to_string() + "\n");
  }
  return exit_code(status);
}

}  // namespace
}  // namespace hypura::cli

int main(int argc, char** argv) { return hypura::cli::main_function(argc, argv); }
