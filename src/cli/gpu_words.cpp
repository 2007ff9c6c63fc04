#include "cli/gpu_words.h"

#include <fmt/format.h>

namespace hypura::cli {

std::string slots_text(const ModelIndex& index, const GpuShare::Experts& experts) {
  const TensorId first = experts.first();
  return fmt::format("slots for {} of {} experts a layer", experts.slots[first.value],
                     index.tensor(first).expert_count);
}

std::string places_text(const GpuShare::Experts& experts, uint32_t micro_batch) {
  return fmt::format("{} places for whole tensors, to compute prompts with, {} tokens at a time",
                     experts.places, micro_batch);
}

std::string places_text(const GpuShare::Batches& batches, uint32_t micro_batch) {
  return fmt::format("{} places for whole matrices and activations, to compute prompts with, {} "
                     "tokens at a time",
                     batches.places, micro_batch);
}

}  // namespace hypura::cli
