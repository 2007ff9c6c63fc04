#pragma once

#include <cstdint>
#include <vector>

#include "plan/cost_model.h"
#include "plan/rates.h"

namespace hypura {

// What a token asks of one layer's experts, in the order of use.
struct ExpertStage {
  double hit_share = 1;
  uint32_t used = 0;
  double expert_bytes = 0;    // of one expert: all its projections that stream
  double expert_seconds = 0;  // to compute one
  uint32_t slices = 0;        // projections: reads of one missing expert
  double slice_bytes = 0;     // the mean one
};

// One thing a token does after another: compute weights that are there, or pieces of the ring, or a
// layer's experts.
struct WalkStep {
  double compute_seconds = 0;
  double ring_bytes = 0;  // read into the ring before it can compute; 0: there already
  bool experts = false;
  ExpertStage stage;
};

struct WalkInput {
  std::vector<WalkStep> steps;
  double ring_capacity_bytes = 0;
  double ring_bytes_per_second = 0;
  const DriveProfile* drive = nullptr;
  bool prefetch = true;
  double call_seconds = 0;
};

struct WalkTimes {
  double token_seconds = 0;
  double wait_seconds = 0;
  double call_seconds = 0;
  double read_bytes = 0;
  double read_seconds = 0;  // of them alone, drive never idle
};

// Walks the steps of one token after another, with a drive that reads the ring's next pieces as far
// ahead as there is room and a layer's experts when their router has chosen, and gives the time of
// a token in the steady state. The expected time over how many of the chosen experts are missing,
// not the time of the expected number: waits do not average out. Pure.
WalkTimes walk_tokens(const WalkInput& input);

}  // namespace hypura
