#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "ggml-cpp.h"
#include "ggml-impl.h"

namespace hypura {

// Nodes of a CPU's graph once more, in a GPU's memory: copies of the nodes, of what they read of
// RAM, and room for what they compute. Matrices of ours that they multiply by are not copied:
// whoever computes the mirror brings them.
// Used by one thread.
class GraphMirror {
 public:
  // `backend` is to compute the mirrors, and outlives them.
  explicit GraphMirror(ggml_backend_t backend);

  // Mirrors nodes [begin, end) of `graph`, which outlives the mirror's use. What they read and what
  // they compute lies in RAM. False without the memory of the GPU; room that was had once is kept.
  bool build(const ggml_cgraph* graph, int begin, int end);
  ggml_cgraph* graph() { return graph_; }

  // Tells the backend to bring what the nodes read of RAM.
  void send();
  // Brings back what is used outside of the mirror, and waits for all that the backend was told.
  void fetch();

 private:
  struct Pair {
    ggml_tensor* original = nullptr;
    ggml_tensor* copy = nullptr;
  };

  ggml_tensor* copy_of(ggml_tensor* tensor);
  ggml_tensor* make_copy(const ggml_tensor* tensor);
  void find_results(const ggml_cgraph* graph, int begin, int end);
  ggml_cgraph* graph_to_allocate(size_t tensors);

  ggml_backend_t backend_;
  std::vector<std::byte> memory_;  // of the copies' descriptions
  ggml_context_ptr context_;
  ggml_gallocr_ptr allocator_;
  ggml_cgraph* graph_ = nullptr;
  std::unordered_map<const ggml_tensor*, ggml_tensor*> copies_;
  std::unordered_map<const ggml_tensor*, int> uses_;  // within
  std::vector<Pair> inputs_;
  std::vector<Pair> results_;
};

}  // namespace hypura
