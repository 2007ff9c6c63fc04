#pragma once

#include <cstdint>

#include "machine/profile.h"
#include "model/model_index.h"
#include "plan/gpu_share.h"
#include "plan/placement.h"

namespace hypura {

// Skew of routing (see Workload::heat) where nothing was seen of a model's: a little less than that
// of Qwen3-30B-A3B in docs/experiments.md, "Expert caches". The first run tells.
inline constexpr double kUsualHeat = 1;

struct CopyRates {
  double upload_gbps = 0;    // to the GPU
  double cpu_gbps = 0;       // of one token's experts, computed with where they lie
  double layer_seconds = 0;  // of a layer whose router is waited for, in either case
};

// As a profile has them for weights of one ggml type; 0 where it does not.
CopyRates copy_rates(const MachineProfile& machine, int ggml_type, int threads);

// What is copied to caches of these slots: for a token, on average, and for a batch that uses all
// experts.
double token_copy_bytes(const ModelIndex& index, const GpuShare::Experts& experts, double heat);
double batch_copy_bytes(const ModelIndex& index, const GpuShare::Experts& experts);

// Whether a token is faster with `copying`, whose experts are copied to the GPU as they are missed,
// than with `staying`, where those of whole layers are on the GPU and the CPU computes with the
// others: misses / upload_gbps, of all layers, against others / cpu_gbps, of theirs.
bool copies_pay(const ModelIndex& index, const GpuShare& copying, const GpuShare& staying,
                const CopyRates& rates, double heat);

// `copying`, which `input` gave, or what it gives without copies, if these do not pay, or the rest
// does not fit in `ram_bytes`: where the drive is waited for, what GPU and RAM hold together
// counts, and a cache holds what RAM has. REQUIRES: `copying` has experts.
GpuShare better_share(const ModelIndex& index, GpuShare copying, GpuShareInput input,
                      const CopyRates& rates, double heat, uint64_t ram_bytes);

// Weights below a GPU that experts are copied to: what it reads by itself stays where it is, and
// experts are in RAM for good, where all of them fit.
void place_for_copies(const ModelIndex& index, PlacementInput& input);

// What the skew must be for caches of `slots` to have `hits` of what is routed to: the inverse of
// expected_hits(), within 0 and 3.
double heat_of(double hits, uint32_t slots, uint32_t experts, uint32_t used);

}  // namespace hypura
