#include "cli/serve_model.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "cli/command_line.h"
#include "cli/interrupt.h"
#include "cli/plan/history_file.h"
#include "cli/plan/run_prediction.h"
#include "cli/run_options.h"
#include "cli/serving.h"
#include "cli/terminal.h"
#include "server/model/model_server.h"

namespace hypura::cli {
namespace {

constexpr int kParallelMax = 256;
// Of the answers that a speed is predicted for.
constexpr uint32_t kPromptTokens = 64;
constexpr uint32_t kAnswerTokens = 128;

struct Words {
  std::string socket;
  std::string alias;
  std::string projector;
  int parallel = 1;
  bool embedding = false;
};

RunCommand serve_model_command(Words& words) {
  return {.name = "serve-model",
          .description = "The process of one model below `hypura serve`.",
          .describe = [&words](CommandLine& line) {
            line.option("--socket", words.socket, "path of the socket to serve on");
            line.option("--alias", words.alias, "the model's name in answers");
            line.option("--parallel", words.parallel, 1, kParallelMax,
                        "requests computed at a time (default: 1)");
            line.option("--mmproj", words.projector, "projector of a model that reads images");
            line.flag("--embedding", words.embedding, "answer with embeddings, too");
          },
          .own = {"--alias", "--parallel", "--mmproj", "--embedding"}};
}

// The parent holds the other end of our stdin, and says nothing on it but that it has ended.
void follow_parent() {
  std::thread([] {
    std::array<char, 64> said;
    while (::read(STDIN_FILENO, said.data(), said.size()) > 0) {}
    interrupt_flag().store(true);
  }).detach();
}

void predict(const Engine& engine, ServedModel& model) {
  const std::optional<RunPrediction> prediction =
      predict_run(engine, past_runs(history_path()), kPromptTokens, kAnswerTokens);
  if (!prediction.has_value()) return;
  model.predicted_decode_tps = prediction->decode_tps.middle;
  model.drive_gbps = prediction->drive_gbps;
}

}  // namespace

Status serve_model(const std::vector<std::string>& arguments) {
  Words words;
  const RunCommand command = serve_model_command(words);
  Result<RunOptions> parsed = parse_run_options(arguments, command);
  if (!parsed.ok()) return parsed.status();
  RunOptions options = *std::move(parsed);
  if (options.help) return write_answer(run_help(command)) ? Status() : write_failure();
  if (words.socket.empty()) {
    return Status(StatusCode::invalid_argument, "serve-model needs --socket PATH")
        .suggest("hypura serve MODEL, which starts it");
  }
  EngineOptions& engine = options.engine;
  if (Status status = prepare_to_serve(options); !status.ok()) return status;
  // Ctrl-C on the terminal reaches us as well, and is the parent's to act on.
  ::signal(SIGINT, SIG_IGN);
  follow_parent();
  engine.params.n_parallel = words.parallel;
  engine.params.embedding = words.embedding;
  engine.params.mmproj.path = words.projector;
  if (words.alias.empty()) words.alias = std::filesystem::path(engine.model_path).stem().string();
  return hypura::serve_model({.engine = std::move(engine),
                              .socket_path = words.socket,
                              .name = words.alias,
                              .predict = predict,
                              .stop = &interrupt_flag()});
}

}  // namespace hypura::cli
