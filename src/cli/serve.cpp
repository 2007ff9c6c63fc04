#include "cli/serve.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "base/cuda_use.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/option_words.h"
#include "cli/ps.h"
#include "cli/run_options.h"
#include "cli/serving.h"
#include "cli/store/environment.h"
#include "cli/store/model_argument.h"
#include "cli/terminal.h"
#include "machine/memory.h"
#include "server/model_process.h"
#include "server/seconds.h"
#include "server/serve.h"
#include "server/served_models.h"

namespace hypura::cli {
namespace {

constexpr int kParallelMax = 256;
constexpr int kPortMax = 65535;
constexpr int kQueueMax = 4096;
constexpr int kModelsMax = 16;
constexpr int kBodyMax = 4096;  // MiB
constexpr int kDrainMax = 86400;

struct Words {
  std::string host = "127.0.0.1";
  std::string alias;
  std::string api_key;
  std::string api_key_file;
  std::string cors;
  std::string projector;
  std::string keep_alive;
  int port = 8080;
  int parallel = 4;
  int queue = 512;
  int models = 3;
  int body_mib = 64;
  int drain = 30;
  bool log_json = false;
};

RunCommand serve_command(Words& words) {
  return {.name = "serve",
          .description = "Answers clients of OpenAI, Anthropic and Ollama on one port. Models are "
                         "loaded when they are first asked for, the first MODEL at once.",
          .describe =
              [&words](CommandLine& line) {
                line.option("--host", words.host, "address to listen on (default: 127.0.0.1)");
                line.option("--port", words.port, 0, kPortMax,
                            "port to listen on, 0 for any (default: 8080)");
                line.option("--alias,-a", words.alias, "name of the first MODEL for clients");
                line.option("--parallel", words.parallel, 1, kParallelMax,
                            "requests that a model computes at a time, like -np; each has the "
                            "context that --ctx says (default: 4)");
                line.option("--queue", words.queue, 1, kQueueMax,
                            "requests that wait for a model; beyond: 503 (default: 512)");
                line.option("--models-max", words.models, 1, kModelsMax,
                            "models loaded at a time (default: 3)");
                line.option("--keep-alive", words.keep_alive,
                            "how long an idle model stays: 5m, 30s, 1h; -1 for good (default: for "
                            "good with a MODEL, else 5m)",
                            "TIME");
                line.option("--api-key", words.api_key, "key that clients need");
                line.option("--api-key-file", words.api_key_file, "file with that key", "FILE");
                line.option("--cors", words.cors,
                            "pages of this origin may ask, * for all (default: none)", "ORIGIN");
                line.option("--mmproj", words.projector,
                            "projector of the first MODEL, which reads images then", "FILE");
                line.option("--max-body", words.body_mib, 1, kBodyMax,
                            "MiB of a request; beyond: 413 (default: 64)");
                line.option("--drain-seconds", words.drain, 0, kDrainMax,
                            "for requests under way when it is told to stop (default: 30)");
                line.flag("--log-json", words.log_json, "log requests as JSON, a line each");
              },
          .own = {"--host", "--port", "--alias", "-a", "--parallel", "-np", "--api-key",
                  "--api-key-file", "--mmproj"},
          .refused = options_of_a_run(),
          .word = "[MODEL...]",
          .word_help = "GGUF files, or names that hypura list shows",
          .word_required = false};
}

// What the processes of models are told in another way, or not at all.
constexpr std::array kOwn = std::to_array<std::string_view>(
    {"--host", "--port", "--alias", "-a", "--parallel", "--queue", "--models-max", "--keep-alive",
     "--api-key", "--api-key-file", "--cors", "--mmproj", "--max-body", "--drain-seconds",
     "--log-json", "--ctx", "-c", "--ctx-size", "--ram-budget"});

Result<std::string> api_key(const Words& words) {
  if (words.api_key_file.empty()) return words.api_key;
  std::ifstream file(words.api_key_file);
  std::string key;
  if (!std::getline(file, key) || key.empty()) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("--api-key-file {}: no key in its first line", words.api_key_file));
  }
  return key;
}

Result<double> keep_alive(const Words& words, bool has_model) {
  if (words.keep_alive.empty()) return has_model ? -1.0 : 300.0;
  const std::optional<double> seconds = parse_seconds(words.keep_alive);
  if (seconds.has_value()) return *seconds;
  return Status(StatusCode::invalid_argument,
                fmt::format("--keep-alive {}: no time", words.keep_alive))
      .suggest("5m, 30s, 1h30m, or -1 for good");
}

// Of the machine, or what was asked for: shares of a model's weights say nothing of several.
uint64_t budget_of(const RamBudget& budget) {
  if (budget.kind == RamBudget::Kind::bytes) return budget.bytes;
  return static_cast<uint64_t>(std::llround(static_cast<double>(available_bytes()) * kAutoShare));
}

std::string text_of(const OptionWords& words, std::string_view name) {
  std::string text;
  for (const OptionWords::Option& option : words.options) {
    if (option.name != name) continue;
    text = option.words.size() > 1 ? option.words[1] : option.words[0].substr(name.size() + 1);
  }
  return text;
}

ServeOptions options_of(const Words& words, const RunOptions& run, const OptionWords& typed) {
  ServeOptions options;
  options.broker.program = own_program();
  for (const OptionWords::Option& option : typed.options) {
    if (std::find(kOwn.begin(), kOwn.end(), option.name) != kOwn.end()) continue;
    options.broker.words.insert(options.broker.words.end(), option.words.begin(),
                                option.words.end());
  }
  options.broker.ram_budget = text_of(typed, "--ram-budget");
  options.broker.budget_bytes = budget_of(run.engine.ram_budget);
  options.broker.context = run.engine.params.n_ctx;
  options.broker.parallel = words.parallel;
  options.broker.queue_max = static_cast<size_t>(words.queue);
  options.broker.models_max = static_cast<size_t>(words.models);
  options.rules = {.host = words.host, .cors_origin = words.cors};
  options.port = words.port;
  options.body_max = static_cast<uint64_t>(words.body_mib) << 20;
  options.version = kVersion;
  options.drain_seconds = words.drain;
  options.log_json = words.log_json;
  options.log = write_note;
  options.on_ready = [](const std::string& url, const std::string& status) {
    const Result<std::string> table = ps_table(status);
    if (table.ok()) write_note(*table);
    write_note(fmt::format("ready at {} (Ctrl-C ends it)\n", url));
  };
  options.stop = &interrupt_flag();
  return options;
}

// A MODEL is a file, which has its own name, or the name of a stored one.
Status add_models(const std::vector<std::string>& typed, const Words& words,
                  ServedModels& models) {
  for (const std::string& word : typed) {
    const bool first = models.added().empty();
    const Result<std::string> path = model_path(word);
    if (!path.ok()) return path.status();
    std::string name = word;
    if (*path == word) name = std::filesystem::path(word).stem().string();
    if (first && !words.alias.empty()) name = words.alias;
    const std::string projector = first ? words.projector : std::string();
    if (Status status = models.add(name, *path, projector); !status.ok()) return status;
  }
  return Status();
}

}  // namespace

CommandDescription describe_serve() {
  Words words;
  return describe(serve_command(words));
}

Status serve(const std::vector<std::string>& arguments) {
  use_no_cuda();  // models have processes of their own
  Words words;
  const RunCommand command = serve_command(words);
  std::vector<std::string> given = arguments;
  std::replace(given.begin(), given.end(), std::string("-np"), std::string("--parallel"));
  RunCommand all = command;
  all.refused.clear();
  const OptionWords typed = take_apart(given, describe(all));
  // The options are those of a run of any one of the models.
  std::vector<std::string> of_one;
  if (!typed.words.empty()) of_one.push_back(typed.words.front());
  for (const OptionWords::Option& option : typed.options) {
    of_one.insert(of_one.end(), option.words.begin(), option.words.end());
  }
  Result<RunOptions> run = parse_run_options(of_one, command);
  if (!run.ok()) return run.status();
  if (run->help) return write_answer(run_help(command)) ? Status() : write_failure();
  if (Status status = refuse_what_is_of_a_run(*run); !status.ok()) return status;
  ServeOptions options = options_of(words, *run, typed);
  Result<std::string> key = api_key(words);
  if (!key.ok()) return key.status();
  options.rules.api_key = *std::move(key);
  const Result<double> seconds = keep_alive(words, !typed.words.empty());
  if (!seconds.ok()) return seconds.status();
  options.broker.keep_alive_seconds = *seconds;
  ServedModels models(user_models());
  if (Status status = add_models(typed.words, words, models); !status.ok()) return status;
  options.store = &*models.store();
  options.pull = user_pull_options();
  // Who asks from anywhere may have models fetched, but not look around from here.
  options.pull.names_only = !is_loopback(words.host) && options.rules.api_key.empty();
  if (!typed.words.empty()) options.default_model = models.added().front().name;
  if (!is_loopback(words.host) && options.rules.api_key.empty()) {
    write_note(fmt::format("warning: everybody who reaches {} may ask; --api-key KEY changes it\n",
                           words.host));
  }
  return hypura::serve(std::move(options), models);
}

}  // namespace hypura::cli
