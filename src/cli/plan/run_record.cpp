#include "cli/plan/run_record.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "cli/plan/history_file.h"
#include "cli/terminal.h"
#include "machine/profile_file.h"

namespace hypura::cli {
namespace {

PastSpeed speed(double predicted_tps, uint32_t tokens, uint32_t least, double seconds) {
  if (predicted_tps <= 0 || tokens < least || seconds <= 0) return {};
  return {.predicted_tps = predicted_tps, .actual_tps = tokens / seconds};
}

RunFacts facts_of(const Engine& engine, const RunReport& report) {
  const Answer& answer = report.answer;
  const std::optional<ElasticStats>& elastic = report.finished.elastic;
  return {.prompt_tokens = static_cast<uint32_t>(answer.prompt_tokens),
          .decoded = static_cast<uint32_t>(answer.tokens.empty() ? 0 : answer.tokens.size() - 1),
          .prompt_seconds = answer.prompt_seconds,
          .decode_seconds = answer.decode_seconds,
          .interrupted = answer.stop == StopReason::interrupted,
          .shrunk = elastic.has_value() && elastic->given_back_bytes > 0,
          .repacked = engine.plan().repacked_bytes > 0};
}

}  // namespace

std::optional<PastRun> record_of(const RunPrediction& prediction, const RunFacts& facts,
                                 std::string date) {
  // How much of a mapped file the page cache had is not known.
  const bool mapped = prediction.kind.mode == Mode::mapped;
  if (facts.interrupted || facts.shrunk || facts.repacked || mapped) return std::nullopt;
  PastRun run{.kind = prediction.kind,
              .date = std::move(date),
              .prompt_tokens = facts.prompt_tokens,
              .tokens = facts.decoded,
              .decode = speed(prediction.uncalibrated_decode_tps, facts.decoded, kDecodedMin,
                              facts.decode_seconds),
              .prompt = speed(prediction.uncalibrated_prompt_tps, facts.prompt_tokens, kPromptMin,
                              facts.prompt_seconds)};
  if (!run.decode.known() && !run.prompt.known()) return std::nullopt;
  return run;
}

void remember(const Engine& engine, const std::string& file, RunReport& report) {
  if (!report.prediction.has_value()) return;
  report.record =
      record_of(*report.prediction, facts_of(engine, report), iso_date(std::time(nullptr)));
  if (!report.record.has_value() || file.empty()) return;
  const Status status = append_run(file, *report.record);
  report.kept = status.ok();
  if (!status.ok()) write_note(fmt::format("warning: {}: {}\n", status.message(), status.why()));
}

}  // namespace hypura::cli
