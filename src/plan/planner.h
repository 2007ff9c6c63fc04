#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "plan/budget.h"
#include "plan/cost_model.h"
#include "plan/gpu_share.h"
#include "plan/mode.h"

namespace hypura {

// What a model asks of any machine, beside its weights' place: measured on its graphs.
struct ModelDemand {
  std::vector<TensorUse> uses;
  uint64_t fixed_bytes = 0;    // KV, activations, logits, sampling, work and scratch; the draft
  uint64_t kv_bytes = 0;       // of these
  uint64_t compute_bytes = 0;  // of these, activations of one micro-batch
  uint64_t gpu_compute_bytes = 0;  // where all layers are on a GPU; 0: not known
  uint64_t gpu_kernel_bytes = 0;   // beside these, see kernel_bytes()
  uint64_t draft_bytes = 0;    // of these, the draft model with all of its own
  uint64_t process_base_bytes = 0;
  uint64_t rows_per_graph = 0;
  uint32_t context = 0;
  uint32_t micro_batch = 0;
  int threads = 0;
  int threads_batch = 0;
  uint32_t graph_nodes = 0;  // that a token's graph computes
  // By tensor, what it would take repacked for faster prompts, 0 where it cannot be; empty: none is
  // to be.
  std::vector<uint64_t> repacked_bytes;

  // Where they are not known, a CPU's, which are no smaller in what was measured.
  uint64_t gpu_activations() const {
    return gpu_compute_bytes > 0 ? gpu_compute_bytes : compute_bytes;
  }
};

// What a plan decides beyond the mode. Defaults: place() by its own rule.
struct PlanChoice {
  uint64_t pin_bytes_max = UINT64_MAX;  // dense weights pinned at most
  uint64_t pool_bytes_max = UINT64_MAX;  // experts' slots at most, if more than the least
  uint32_t ring_slots = 0;              // 0: by what look_ahead_slots says
  friend bool operator==(const PlanChoice&, const PlanChoice&) = default;
};

struct PlanInput {
  const ModelIndex& index;
  const ModelDemand& demand;
  const MachineProfile& machine;
  uint64_t budget_bytes = 0;
  bool elastic = false;  // the budget follows the machine's memory
  Mode mode = Mode::automatic;
  // The page cache may hold the file where an automatic budget is just too small: bytes that the
  // machine has available; 0: it may not.
  uint64_t available_bytes = 0;
  std::vector<uint64_t> gpu_bytes;  // of each discrete GPU for weights and KV
  bool may_copy_experts = true;  // to the GPU, where that pays
  bool copies_routers = true;    // from there, to guess experts by
  std::optional<double> heat;    // of the model's routing (see Workload), where that was seen
  // kv_bytes_per_token, experts_used and micro_batch are filled in; heat where experts are copied.
  Workload work;
  std::optional<PlanChoice> choice;  // made before: only carried out
};

struct Plan {
  Mode mode = Mode::resident;
  uint64_t budget_bytes = 0;
  std::optional<Layout> layout;  // where something streams
  GpuShare gpu;
  PlanChoice choice;
  Prediction prediction;
};

// The plan with the least predicted time of a token, of all that differ in what is pinned and how
// far the ring reads ahead; of equals the first, which is place()'s own rule. Mode resident
// wherever the weights fit. Pure and deterministic. Error: does_not_fit with the least that would
// do and what to change.
Result<Plan> make_plan(const PlanInput& input);

// What the model asks with a micro-batch of `factor` times as many tokens: activations are taken to
// grow with it. Pure.
ModelDemand with_larger_batches(ModelDemand demand, uint32_t factor);

// What the model asks where its micro-batch, no more than `most`, is chosen for the plan's GPU
// (better_micro_batch). Pure.
ModelDemand with_micro_batch(const PlanInput& input, uint32_t most);

// Whether a layout is what a choice asked for: a ring of so many slots may not fit, and experts
// cannot have less than their least. Error: does_not_fit, with what would.
Status check_choice(const PlanChoice& choice, const Layout& layout);

// The least budget that make_plan() accepts.
uint64_t least_budget(PlanInput input);

// The prediction of a layout that exists, and of what a GPU has.
Prediction predict_layout(const PlanInput& input, const Layout* layout, const GpuShare& gpu);

// Bytes of a machine's RAM that `auto` gives to a model there: what an idle system leaves, less a
// twentieth; of unified memory at most what its GPU may use.
uint64_t automatic_budget(const MachineProfile& machine, uint64_t process_base_bytes);
// Of each of its discrete GPUs for weights and KV, beside activations. Error: does_not_fit, where a
// GPU was asked for and there is none, or a smaller one.
Result<std::vector<uint64_t>> gpu_bytes(const MachineProfile& machine, const GpuBudget& budget,
                                        const ModelDemand& demand);

// How a tensor's bytes are spread over tiers.
struct TierBytes {
  uint64_t gpu = 0;
  uint64_t ram = 0;    // pinned, or everything if resident
  uint64_t drive = 0;  // with a home on the drive, cached or not
  uint64_t copied = 0;  // of the GPU's, in RAM as well: routers that guess
};
TierBytes tier_bytes(const ModelIndex& index, const Plan& plan);

}  // namespace hypura
