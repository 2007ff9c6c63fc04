#include "cli/store/list.h"

#include <nlohmann/json.hpp>

#include "cli/command_line.h"
#include "cli/store/environment.h"
#include "cli/store/model_words.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

CommandLine line_for(bool& json) {
  CommandLine line("list",
                   "Lists the models that commands and requests can name: our own, and those of "
                   "Ollama and in Hugging Face's cache, which stay where they are.");
  line.flag("--json", json, "print one JSON object");
  return line;
}

}  // namespace

CommandDescription describe_list() {
  bool json = false;
  return line_for(json).description();
}

Status list_models(const std::vector<std::string>& arguments) {
  bool json = false;
  CommandLine line = line_for(json);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  const std::vector<StoredModel> models = user_models().list();
  std::string text;
  if (json) {
    nlohmann::ordered_json object = {{"schema", 1}, {"models", nlohmann::ordered_json::array()}};
    for (const StoredModel& model : models) object["models"].push_back(model_json(model));
    text = object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  } else {
    text = models_table(models, wall_clock_ns());
  }
  return write_answer(text) ? Status() : write_failure();
}

}  // namespace hypura::cli
