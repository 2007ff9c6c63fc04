#include "cli/store/remove.h"

#include "cli/command_line.h"
#include "cli/store/environment.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

CommandLine line_for(std::vector<std::string>& models) {
  CommandLine line("rm", "Removes models from our own folder.");
  line.words("MODEL", models, "names, as hypura list shows them");
  return line;
}

}  // namespace

CommandDescription describe_remove() {
  std::vector<std::string> models;
  return line_for(models).description();
}

Status remove_models(const std::vector<std::string>& arguments) {
  std::vector<std::string> models;
  CommandLine line = line_for(models);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  const ModelStore store = user_models();
  for (const std::string& model : models) {
    if (Status status = store.remove(model); !status.ok()) return status;
  }
  return Status();
}

}  // namespace hypura::cli
