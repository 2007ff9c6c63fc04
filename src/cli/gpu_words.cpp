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

std::string part_text(const GpuPart& part) {
  return fmt::format("of these weights and KV, {} layers{}", part.layers,
                     part.output ? " and the output" : "");
}

nlohmann::ordered_json parts_json(std::span<const GpuPart> parts) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const GpuPart& part : parts) {
    json.push_back({{"layers", part.layers},
                    {"output", part.output},
                    {"weight_bytes", part.weight_bytes},
                    {"kv_bytes", part.kv_bytes}});
  }
  return json;
}

}  // namespace hypura::cli
