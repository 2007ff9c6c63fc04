#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/engine.h"

namespace hypura {

// What llama.cpp's server counts, since it began.
struct ServedTokens {
  uint64_t prompt = 0;
  double prompt_seconds = 0;
  uint64_t generated = 0;
  double generated_seconds = 0;
  int busy_slots = 0;
  int deferred = 0;  // requests that wait for a slot
};

// What does not change while a model is served.
struct ServedModel {
  std::string name;
  std::optional<double> predicted_decode_tps;
  std::optional<double> drive_gbps;  // sequential, as profiled
};

// The object of GET /hypura/state, "schema": 1. Called from any thread.
std::string model_state(const Engine& engine, const ServedModel& model, const ServedTokens& tokens);

}  // namespace hypura
