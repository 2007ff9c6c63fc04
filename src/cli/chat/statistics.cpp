#include "cli/chat/statistics.h"

#include <fmt/format.h>

#include <optional>

#include "base/units.h"
#include "cli/plan/history_file.h"
#include "cli/plan/run_prediction.h"
#include "cli/report.h"

namespace hypura::cli {
namespace {

double rate(uint64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

// The first token of an answer comes with its prompt.
uint64_t decoded(const Answer& answer) {
  return answer.tokens.empty() ? 0 : answer.tokens.size() - 1;
}

std::string read_text(const EngineStats& before, const EngineStats& after) {
  std::string text = fmt::format(
      "; read {}", format_bytes(after.residency.bytes_read - before.residency.bytes_read));
  const uint64_t uses = after.residency.expert_hits + after.residency.expert_misses -
                        before.residency.expert_hits - before.residency.expert_misses;
  if (uses > 0) {
    text += fmt::format(", expert hits {:.0f} %", 100 * expert_hit_rate(before, after));
  }
  return text;
}

}  // namespace

std::string turn_text(const Dialogue& dialogue, const std::string& history_file) {
  const Engine& engine = dialogue.engine();
  const ChatTurn& turn = dialogue.turns().back();
  const Answer& answer = turn.answer;
  std::string text = fmt::format(
      "{} tokens at {:.1f} tok/s, prompt of {} at {:.1f} tok/s ({} more were there), first token "
      "after {:.2f} s",
      answer.tokens.size(), rate(decoded(answer), answer.decode_seconds), answer.prompt_tokens,
      rate(answer.prompt_tokens, answer.prompt_seconds), turn.kept_tokens,
      answer.first_token_seconds);
  if (streams(engine.plan().mode)) text += read_text(turn.before, turn.after);
  if (engine.draft_options().kind == DraftOptions::Kind::none) {
    const std::optional<RunPrediction> prediction =
        predict_run(engine, past_runs(history_file), static_cast<uint32_t>(answer.prompt_tokens),
                    static_cast<uint32_t>(answer.tokens.size()));
    if (prediction.has_value()) {
      text += fmt::format("; predicted {:.1f} tok/s ({:.1f} to {:.1f})",
                          prediction->decode_tps.middle, prediction->decode_tps.low,
                          prediction->decode_tps.high);
    }
  }
  return text + "\n";
}

std::string chat_text(const Dialogue& dialogue) {
  const Engine& engine = dialogue.engine();
  uint64_t prompt = 0, kept = 0, generated = 0, steps = 0;
  double prompt_seconds = 0, seconds = 0;
  for (const ChatTurn& turn : dialogue.turns()) {
    prompt += turn.answer.prompt_tokens;
    kept += turn.kept_tokens;
    generated += turn.answer.tokens.size();
    steps += decoded(turn.answer);
    prompt_seconds += turn.answer.prompt_seconds;
    seconds += turn.answer.decode_seconds;
  }
  std::string text = fmt::format(
      "chat: {} answers, {} tokens at {:.1f} tok/s, prompts of {} at {:.1f} tok/s ({} more were "
      "there); the context holds {} of {}",
      dialogue.turns().size(), generated, rate(steps, seconds), prompt,
      rate(prompt, prompt_seconds), kept, dialogue.context_tokens(),
      llama_n_ctx(engine.context()));
  if (streams(engine.plan().mode) && !dialogue.turns().empty()) {
    text += read_text(dialogue.turns().front().before, dialogue.turns().back().after);
  }
  return text + "\n";
}

}  // namespace hypura::cli
