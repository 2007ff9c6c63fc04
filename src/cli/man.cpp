#include "cli/man.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "base/replace_file.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/man_page.h"
#include "base/suggestion.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

struct Words {
  std::string command;
  std::string folder;
};

CommandLine line_for(Words& words) {
  CommandLine line("man", "Prints a manual page: `hypura man run | man -l -` shows one.");
  line.optional_word("COMMAND", words.command, "whose page (default: hypura's own)");
  line.option("--dir", words.folder,
              "write all pages there, hypura.1 and hypura-COMMAND.1, instead", "DIR");
  return line;
}

std::vector<CommandDescription> descriptions() {
  std::vector<CommandDescription> all;
  for (const Command& command : commands()) all.push_back(command.describe());
  return all;
}

Status write_page(const std::string& folder, const std::string& name, const std::string& page) {
  const std::string path = fmt::format("{}/{}.1", std::filesystem::absolute(folder).string(), name);
  if (const std::error_code error = replace_file(path, page)) {
    return Status(StatusCode::failed, fmt::format("cannot write {}", path))
        .because(error.message());
  }
  return Status();
}

Status write_all(const std::string& folder) {
  Status status = write_page(folder, "hypura", man_page(descriptions()));
  for (const Command& command : commands()) {
    if (!status.ok()) return status;
    status = write_page(folder, fmt::format("hypura-{}", command.name),
                        man_page(command.describe(), command.usage));
  }
  return status;
}

Status unknown(const std::string& name) {
  std::vector<std::string> known;
  for (const Command& command : commands()) known.emplace_back(command.name);
  const std::string meant = closest(name, known);
  return Status(StatusCode::invalid_argument, fmt::format("unknown command {}", name))
      .suggest(meant.empty() ? "hypura --help" : fmt::format("did you mean {}?", meant));
}

}  // namespace

CommandDescription describe_man() {
  Words words;
  return line_for(words).description();
}

Status man(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  if (!words.folder.empty()) {
    if (!words.command.empty()) {
      return Status(StatusCode::invalid_argument,
                    fmt::format("--dir writes all pages, not that of {} alone", words.command))
          .suggest(fmt::format("hypura man {0} > hypura-{0}.1", words.command));
    }
    return write_all(words.folder);
  }
  std::string page;
  if (words.command.empty()) {
    page = man_page(descriptions());
  } else {
    const Command* command = find_command(words.command);
    if (command == nullptr) return unknown(words.command);
    page = man_page(command->describe(), command->usage);
  }
  return write_answer(page) ? Status() : write_failure();
}

}  // namespace hypura::cli
