#include "cli/store/copy.h"

#include "cli/command_line.h"
#include "cli/store/environment.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

struct Words {
  std::string from;
  std::string to;
};

CommandLine line_for(Words& words) {
  CommandLine line("cp",
                   "Gives a model a second name, which takes no room: a link to the same file.");
  line.word("MODEL", words.from, "name of a model, of another program's too");
  line.word("NAME", words.to, "its second name");
  return line;
}

}  // namespace

CommandDescription describe_copy() {
  Words words;
  return line_for(words).description();
}

Status copy_model(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  return user_models().copy(words.from, words.to).status();
}

}  // namespace hypura::cli
