#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "model/model_index.h"

namespace hypura {

// What lies on one of several GPUs.
struct GpuPart {
  uint32_t counted = 0;  // of gpu_layers()
  uint32_t layers = 0;   // of these, those that have weights there
  bool output = false;
  uint64_t weight_bytes = 0;  // with the copy of embeddings
  uint64_t kv_bytes = 0;
  uint64_t bytes() const { return weight_bytes + kv_bytes; }
  GpuPart& operator+=(const GpuPart& other);
};

// What of a model lies on the GPU. Everything else stays below: in RAM, or on the drive.
struct GpuShare {
  std::vector<bool> on_gpu;  // by tensor, for good; empty: none
  uint32_t layers = 0;       // the last ones: attention, norms, router, shared experts and KV
  uint64_t weight_bytes = 0;
  uint64_t copy_bytes = 0;  // beside these: llama.cpp copies embeddings that are the output
  uint64_t kv_bytes = 0;
  std::vector<GpuPart> parts;  // where there are several (choose_split_share())
  // Where the GPU also computes with experts that are not there for good.
  struct Experts {
    std::vector<uint32_t> slots;  // by tensor: so many of its experts can be there at a time
    uint64_t cache_bytes = 0;     // of all slots
    uint64_t place_bytes = 0;     // for a whole tensor, to compute a batch with
    uint32_t places = 0;
    uint64_t bytes() const { return cache_bytes + places * place_bytes; }
    // A tensor that has slots; what is said of one layer is said of its layer.
    TensorId first() const;
  };
  std::optional<Experts> experts;
  // Where it computes batches of tokens with what streams below it.
  struct Batches {
    uint64_t place_bytes = 0;    // for a whole tensor
    uint32_t places = 0;
    uint64_t compute_bytes = 0;  // of activations
    uint64_t bytes() const { return places * place_bytes + compute_bytes; }
  };
  std::optional<Batches> batches;
};

struct GpuShareInput {
  uint64_t bytes = 0;     // for weights and KV
  std::vector<uint64_t> each = {};  // of these, by GPU
  uint64_t kv_bytes = 0;  // of all layers
  // Of RAM, for weights below: those that need more wait for the drive.
  uint64_t ram_bytes = UINT64_MAX;
  // What a token routes to in a layer, if experts may be copied to the GPU to compute there; else
  // 0.
  uint32_t experts_used = 0;
  // What computing a batch of what lies below takes for activations, if the GPU is to; else 0.
  uint64_t batch_compute_bytes = 0;
};

// Output and whole layers without their FFN first, as every token needs all of them and the KV
// cache goes with them, from the last layer on; where all layers are there, FFNs and experts, from
// the last layer on too, those of a layer as a whole, without gaps, and the last matrices of as
// many others as fit, or a cache for the experts of all layers. Where what stays below waits for
// the drive, a whole layer less if last matrices fill more then. Look-ups of embeddings stay with
// the CPU, as llama.cpp keeps them. What batches take comes before all that.
// Pure.
GpuShare choose_gpu_share(const ModelIndex& index, const GpuShareInput& input);

// Layers as llama.cpp counts them: from the last one of the file on, with those that it leaves out.
struct LayerRange {
  int first = 0;
  int end = 0;  // the output, as one more
  int count() const { return end - first + 1; }
};

// What llama.cpp is told. REQUIRES: the share has a layer. Pure.
LayerRange gpu_layers(const ModelIndex& index, const GpuShare& share);

// Of a --gpu-budget that somebody asks for, and that comes to nothing.
struct EmptyShare {
  uint64_t budget_bytes = 0;
  size_t gpus = 1;             // that share it
  uint64_t compute_bytes = 0;  // of each
  uint64_t kv_bytes = 0;       // over all layers
};
Status holds_no_layer(const EmptyShare& share);

// What a GPU that shares the machine's RAM computes where experts stream: everything but
// embeddings; experts in the slots that they are read into. Nothing for models without experts.
// Pure.
GpuShare unified_gpu_share(const ModelIndex& index);

// A regular expression for the names of FFNs and experts that stay below, as llama.cpp's tensor
// overrides take it; empty if there are none. Layers that are not there are no business of it, but
// may be named.
std::string names_below(const ModelIndex& index, const GpuShare& share);

}  // namespace hypura
