// The hypura command: one word says what to do, cli/ has a file for each.
#include <fmt/format.h>
#include <signal.h>

#include <exception>
#include <string>
#include <vector>

#include "base/suggestion.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/llama_abort.h"
#include "cli/serve_model.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

Status dispatch(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "-h" || words[0] == "--help" || words[0] == "help") {
    if (words.empty()) {
      return Status(StatusCode::invalid_argument, "no command given").suggest("hypura --help");
    }
    return write_answer(commands_help()) ? Status() : write_failure();
  }
  if (words[0] == "--version") {
    return write_answer(fmt::format("hypura {} on llama.cpp v0.5.0\n", kVersion))
               ? Status()
               : write_failure();
  }
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (const Command* command = find_command(words[0])) return command->run(rest);
  // Nobody types it.
  if (words[0] == "serve-model") return serve_model(rest);
  std::vector<std::string> known = {"help", "--version", "--help"};
  for (const Command& command : commands()) known.emplace_back(command.name);
  const std::string meant = closest(words[0], known);
  return Status(StatusCode::invalid_argument, fmt::format("unknown command {}", words[0]))
      .suggest(meant.empty() ? "hypura --help" : fmt::format("did you mean {}?", meant));
}

int main_function(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  explain_aborts();
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
