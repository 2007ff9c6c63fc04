#pragma once

#include <optional>
#include <string>

#include "cli/plan/run_prediction.h"
#include "engine/engine.h"
#include "engine/session.h"

namespace hypura::cli {

// What a run took, from opening to the last token.
struct RunReport {
  double load_seconds = 0;
  Answer answer;
  EngineStats loaded;    // at the end of loading
  EngineStats finished;
  std::optional<RunPrediction> prediction;  // if the machine is known
  std::optional<PastRun> record;            // if the run can be trusted
  bool kept = false;                        // in the history
};

// The plan, tier by tier, for a person: several lines, before the first token.
std::string plan_text(const Engine& engine);
// Of the uses of experts' slices between two moments, those whose bytes were in RAM's slots or in
// the GPU's memory; 0 of none.
double expert_hit_rate(const EngineStats& before, const EngineStats& after);
// What it took: one line, after the last token.
std::string summary_text(const Engine& engine, const RunReport& report);
// The object of `run --json`, "schema": 1.
std::string run_json(const Engine& engine, const RunReport& report);

}  // namespace hypura::cli
