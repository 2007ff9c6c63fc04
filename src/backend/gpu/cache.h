#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "cache/slot_table.h"
#include "ggml-cpp.h"
#include "ggml.h"
#include "model/model_index.h"

namespace hypura {

// Experts in the memory of a GPU: a few of each layer, in slots. A slot has an expert's slices of
// all of the layer's tensors, which lie as close as in the tensors themselves, so that the slots
// pose as tensors with so many experts.
class GpuCache {
 public:
  struct Layer {
    std::vector<TensorId> tensors;
    std::unique_ptr<SlotTable> table;  // the keys are experts
  };

  // `slots`: by tensor, 0 for those that are not cached. Errors: failed, without the memory.
  static Result<std::unique_ptr<GpuCache>> create(const ModelIndex& index,
                                                  const std::vector<uint32_t>& slots,
                                                  ggml_backend_dev_t gpu);

  // Copies the first experts of each layer into its slots, so that the first batch finds them
  // there. `weights` has the bytes of a tensor, or nullptr: a layer with such a one stays empty.
  // REQUIRES: the slots are empty.
  void fill(const std::function<const std::byte*(TensorId)>& weights);

  // nullptr: the tensor is not cached.
  Layer* layer(TensorId tensor);

  // What computes with `tensor` computes with its slots. REQUIRES: the tensor is cached.
  void pose(TensorId tensor, ggml_tensor& shadow) const;
  // The bytes of the tensor in one slot. REQUIRES: the tensor is cached.
  ggml_tensor slot(TensorId tensor, SlotId slot) const;

 private:
  Status allocate(const ModelIndex& index, ggml_backend_dev_t gpu);

  static constexpr size_t kNone = SIZE_MAX;
  std::vector<Layer> layers_;
  std::vector<size_t> layer_of_;     // by tensor
  std::vector<ggml_tensor> slots_;   // by tensor
  std::vector<ggml_backend_buffer_ptr> buffers_;
};

// `bytes` at `offset` of a tensor, as bytes.
ggml_tensor bytes_of(const ggml_tensor& tensor, uint64_t offset, uint64_t bytes);

}  // namespace hypura
