#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backend/graph_demand.h"
#include "base/ids.h"
#include "base/status.h"
#include "ggml-backend.h"
#include "ggml-cpp.h"
#include "model/model_index.h"
#include "residency/reader.h"

namespace hypura {

// Weights in the orders that ggml's CPU backend has for faster kernels ("extra buffer types":
// interleaved rows, AMX tiles), which compute other bits. Which types and shapes they take is asked
// of ggml, with the very nodes of the graphs.
// Owns the memory of what was moved there; outlives every context that computes with it. Used by
// one thread at a time.
class Repack {
 public:
  // `work_bytes` as in StreamedModelOptions, for graphs of `threads`; may be null.
  Repack(size_t tensors, uint64_t (*work_bytes)(const ggml_cgraph*, int), int threads);

  // A graph uses weight `id` as this source of `node`. Adds to `demand` what computing the node
  // from a repacked weight takes. After the first use that needs the file's order a weight is out.
  void note(const ggml_tensor* node, int position, TensorId id, GraphDemand& demand);

  // What the weight takes repacked, with its alignment; 0 if it cannot be, or no graph uses it.
  uint64_t bytes(TensorId id) const;

  struct Moved {
    TensorId id;
    ggml_tensor* tensor;
  };
  // Gives the tensors repacked memory and fills it from the file, one after the other through a
  // buffer that is gone afterwards. `progress` gets the file's bytes done and to do; false from it
  // cancels. To be called once. REQUIRES: bytes() > 0 for each.
  Status move(const ModelIndex& index, std::span<const Moved> weights, Reader& reader,
              const std::function<bool(uint64_t, uint64_t)>& progress);

 private:
  struct Kind {
    ggml_backend_buffer_type_t type;
    ggml_backend_buffer_ptr probe;  // a real buffer: an empty one has no functions
  };
  struct Fit {
    enum class State : uint8_t { unseen, fits, out };
    State state = State::unseen;
    size_t kind = 0;
    uint64_t bytes = 0;
  };

  bool fits(const ggml_tensor* node, size_t kind, Fit& fit, GraphDemand& demand) const;
  Status allocate(std::span<const Moved> weights);

  uint64_t (*work_bytes_)(const ggml_cgraph*, int);
  int threads_;
  std::vector<Kind> kinds_;  // in ggml's order of preference
  std::vector<Fit> fits_;    // by tensor
  std::vector<ggml_backend_buffer_ptr> buffers_;
};

}  // namespace hypura
