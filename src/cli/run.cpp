#include "cli/run.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <utility>

#include "cli/conversation.h"
#include "cli/interrupt.h"
#include "cli/mapped_file.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "cli/tokens.h"
#include "engine/llama_log.h"
#include "engine/session.h"

namespace hypura::cli {
namespace {

// llama.cpp's level at which it tells everything.
constexpr int kVerbose = 4;

Result<std::vector<llama_token>> tokenize_prompt(const Engine& engine, const std::string& prompt) {
  Result<std::vector<llama_token>> encoded = tokenize(engine, prompt, true);
  if (!encoded.ok()) return encoded.status();
  std::vector<llama_token> tokens = *std::move(encoded);
  if (tokens.empty() && llama_vocab_bos(engine.vocab()) != LLAMA_TOKEN_NULL) {
    tokens.push_back(llama_vocab_bos(engine.vocab()));
  }
  if (tokens.empty()) {
    return Status(StatusCode::invalid_argument, "there is no prompt")
        .suggest("-p \"Once upon a time\", -f FILE, or -i");
  }
  return tokens;
}

Status answer_prompt(Engine& engine, const RunOptions& options, RunReport& report) {
  Result<std::unique_ptr<Session>> session = Session::create(engine);
  if (!session.ok()) return session.status();
  std::string prompt = engine.params().prompt;
  if (options.chat) {
    Result<std::string> message = single_message(engine, prompt);
    if (!message.ok()) return message.status();
    prompt = *message;
  }
  Result<std::vector<llama_token>> tokens = tokenize_prompt(engine, prompt);
  if (!tokens.ok()) return tokens.status();
  if (!options.json) write_note(plan_text(engine) + "\n");
  bool written = true;
  Result<Answer> answer =
      (*session)->answer(*tokens, engine.params().n_predict, [&](const std::string& text) {
        if (options.json || !written) return;
        written = write_answer(text);
        if (!written) interrupt_flag().store(true);
      });
  if (!answer.ok()) return answer.status();
  report.answer = *std::move(answer);
  report.finished = engine.stats();
  if (Status saved = engine.save_statistics(); !saved.ok()) {
    write_note(fmt::format("warning: {}\n", saved.message()));
  }
  if (!written || !write_answer(options.json ? run_json(engine, report) : "\n")) {
    return write_failure();
  }
  if (!options.json) write_note("\n" + summary_text(engine, report));
  return report.answer.stop == StopReason::interrupted
             ? Status(StatusCode::interrupted, "interrupted")
             : Status();
}

}  // namespace

Status run(const std::vector<std::string>& arguments) {
  Result<RunOptions> parsed = parse_run_options(arguments);
  if (!parsed.ok()) return parsed.status();
  RunOptions options = *std::move(parsed);
  if (options.help) {
    return write_answer(run_help()) ? Status() : write_failure();
  }
  quiet_llama_log(options.engine.params.verbosity >= kVerbose);
  options.engine.stop = &interrupt_flag();
  watch_mapped_file(options.engine.model_path);

  const auto start = std::chrono::steady_clock::now();
  auto progress = std::make_unique<ProgressLine>();
  options.engine.progress = [&](uint64_t done, uint64_t total) {
    progress->update(done, total);
    return !interrupt_flag().load();
  };
  Result<std::unique_ptr<Engine>> engine = Engine::open(options.engine);
  progress.reset();
  if (!engine.ok()) return engine.status();

  RunReport report;
  report.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.loaded = (*engine)->stats();
  if (!options.interactive) return answer_prompt(**engine, options, report);
  write_note(plan_text(**engine) + "\n");
  return chat(**engine);
}

}  // namespace hypura::cli
