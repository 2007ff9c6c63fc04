#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "model/model_index.h"
#include "plan/gpu_share.h"

namespace hypura::cli {

// "slots for 40 of 128 experts a layer".
std::string slots_text(const ModelIndex& index, const GpuShare::Experts& experts);
// "2 places for whole tensors, to compute prompts with, 512 tokens at a time".
std::string places_text(const GpuShare::Experts& experts, uint32_t micro_batch);
// "2 places for whole matrices and activations, to compute prompts with, 512 tokens at a time".
std::string places_text(const GpuShare::Batches& batches, uint32_t micro_batch);
// "of these weights and KV, 20 layers and the output", of one of several GPUs.
std::string part_text(const GpuPart& part);
nlohmann::ordered_json parts_json(std::span<const GpuPart> parts);

}  // namespace hypura::cli
