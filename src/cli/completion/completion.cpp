#include "cli/completion/completion.h"

#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/completion/script.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

CommandLine line_for(std::string& shell) {
  CommandLine line("completion",
                   "Prints a script that completes commands, options and files in a shell.");
  line.word("bash|zsh|fish", shell,
            "whose script; `source <(hypura completion bash)` in ~/.bashrc loads it");
  return line;
}

}  // namespace

CommandDescription describe_completion() {
  std::string shell;
  return line_for(shell).description();
}

Status completion(const std::vector<std::string>& arguments) {
  std::string shell;
  CommandLine line = line_for(shell);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  const auto script = shell == "bash"   ? bash_script
                      : shell == "zsh"  ? zsh_script
                      : shell == "fish" ? fish_script
                                        : nullptr;
  if (script == nullptr) {
    return Status(StatusCode::invalid_argument, fmt::format("{}: no shell known here", shell))
        .suggest("bash, zsh or fish");
  }
  std::vector<CommandDescription> descriptions;
  for (const Command& command : commands()) descriptions.push_back(command.describe());
  return write_answer(script(descriptions)) ? Status() : write_failure();
}

}  // namespace hypura::cli
