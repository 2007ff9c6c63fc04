#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "backend/gpu/graph_mirror.h"
#include "backend/gpu/walk.h"
#include "base/status.h"
#include "ggml-cpp.h"
#include "residency/residency.h"

namespace hypura {

// Has a GPU compute, of the graphs of a CPU, the products of many tokens with weights that lie
// below it, and all between them: weights pass through two places of its memory, from RAM or as
// they come from the drive. One token is left to the CPU, which needs no copy of the weights.
// From so many tokens on llama.cpp uploads weights in RAM as well, so that the bits are those of
// the same model with what is below the GPU in RAM.
// Used under one lock; see StreamedModel::compute.
class GpuBatches {
 public:
  // Errors: failed, without the GPU's memory. Model and residency outlive it; `fill` as GpuWalk's.
  static Result<std::unique_ptr<GpuBatches>> create(const StreamedModel& model,
                                                    Residency& residency,
                                                    const GpuExpertsOptions& options,
                                                    ExpertFill fill);

  // Finds what of `graph` the GPU computes.
  void begin(const ggml_cgraph* graph);
  // One past the nodes from `i` on that it computes; `i` if there are none.
  int run_end(int i);
  // Computes nodes [begin, end), as run_end() said, and waits for them. False, and nothing is
  // computed, where the GPU has no memory for their results: then and from there on the CPU has to.
  // Errors: failed, interrupted; does_not_fit, where kernels lack memory of their own (or CUDA's
  // backend ends the process): from there on the CPU has to.
  Result<bool> compute(const ggml_cgraph* graph, int begin, int end);

  void set_recorder(RoutingRecorder* recorder) { walk_->set_recorder(recorder); }
  void set_stop(const StopSignals& stop) { walk_->set_stop(stop); }
  GpuWalkStats stats() const;

 private:
  GpuBatches(const StreamedModel& model, Residency& residency, const GpuExpertsOptions& options,
             ggml_backend_ptr backend, std::unique_ptr<GpuWalk> walk);
  bool takes(const ggml_tensor* node) const;
  bool takes_weight(const ggml_tensor* node, int position) const;

  const StreamedModel& model_;
  Residency& residency_;
  ggml_backend_dev_t gpu_;
  uint64_t place_bytes_;
  ggml_backend_ptr backend_;
  std::unique_ptr<GpuWalk> walk_;
  GraphMirror mirror_;
  bool refused_ = false;                   // it lacked memory
  std::vector<std::pair<int, int>> runs_;  // of the graph at hand, in order
  size_t next_ = 0;                        // of them
};

}  // namespace hypura
