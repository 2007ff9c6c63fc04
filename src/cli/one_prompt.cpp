#include "cli/one_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "cli/chat/conversation.h"
#include "cli/interrupt.h"
#include "cli/mapped_file.h"
#include "cli/plan/history_file.h"
#include "cli/plan/run_record.h"
#include "cli/plan/kv_type.h"
#include "cli/plan/machines.h"
#include "cli/terminal.h"
#include "cli/tokens.h"
#include "engine/llama_log.h"
#include "engine/session.h"
#include "machine/cores.h"

namespace hypura::cli {
namespace {

// llama.cpp's level at which it tells everything.
constexpr int kVerbose = 4;

// ggml's threads spin while they wait for each other: beyond the cores they hold each other up (4
// on 2 cores that others used, too: 0.2 tok/s in place of 84).
void warn_of_threads(const common_params& params) {
  const int cores = usable_cores().logical;
  const int threads = std::max(params.cpuparams.n_threads, params.cpuparams_batch.n_threads);
  if (threads <= cores) return;
  write_note(fmt::format("warning: {} threads on {} cores hold each other up: -t {} is faster\n",
                         threads, cores, cores));
}

}  // namespace

Result<std::unique_ptr<Engine>> open_model(RunOptions& options, RunReport& report) {
  warn_of_threads(options.engine.params);
  quiet_llama_log(options.engine.params.verbosity >= kVerbose);
  options.engine.stop = &interrupt_flag();
  options.engine.machine = known_machine(options.engine.model_path);
  if (Status status = settle_kv_type(options); !status.ok()) return status;
  watch_mapped_file(options.engine.model_path);

  const double start = now_seconds();
  ProgressLine progress;
  EngineOptions engine_options = options.engine;
  engine_options.progress = [&](uint64_t done, uint64_t total) {
    progress.update(done, total);
    return !interrupt_flag().load();
  };
  Result<std::unique_ptr<Engine>> engine = Engine::open(std::move(engine_options));
  if (!engine.ok()) return engine;
  report.load_seconds = now_seconds() - start;
  report.loaded = (*engine)->stats();
  return engine;
}

Result<std::vector<llama_token>> encode_prompt(const Engine& engine, const RunOptions& options) {
  std::string prompt = engine.params().prompt;
  if (options.chat) {
    Result<std::string> message = single_message(engine, prompt);
    if (!message.ok()) return message.status();
    prompt = *message;
  }
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

Status answer_prompt(Engine& engine, const RunOptions& options,
                     const std::vector<llama_token>& prompt, RunReport& report) {
  Result<std::unique_ptr<Session>> session = Session::create(engine);
  if (!session.ok()) return session.status();
  if (!options.json) write_note(plan_text(engine) + "\n");
  bool written = true;
  Result<Answer> answer =
      (*session)->answer(prompt, engine.params().n_predict, [&](const std::string& text) {
        if (options.json || !written) return;
        written = write_answer(text);
        if (!written) interrupt_flag().store(true);
      });
  if (!answer.ok()) return answer.status();
  report.answer = *std::move(answer);
  report.finished = engine.stats();
  if (engine.draft_options().kind == DraftOptions::Kind::none) {
    report.prediction = predict_run(engine, past_runs(options.history_file),
                                    static_cast<uint32_t>(report.answer.prompt_tokens),
                                    static_cast<uint32_t>(report.answer.tokens.size()));
    remember(engine, options.history_file, report);
  }
  save_statistics(engine);
  return written ? write_report(engine, options, report) : write_failure();
}

void save_statistics(const Engine& engine) {
  if (Status saved = engine.save_statistics(); !saved.ok()) {
    write_note("warning: " + saved.message() + "\n");
  }
}

Status write_report(const Engine& engine, const RunOptions& options, const RunReport& report) {
  if (!write_answer(options.json ? run_json(engine, report) : "\n")) return write_failure();
  if (!options.json) write_note("\n" + summary_text(engine, report));
  return report.answer.stop == StopReason::interrupted
             ? Status(StatusCode::interrupted, "interrupted")
             : Status();
}

}  // namespace hypura::cli
