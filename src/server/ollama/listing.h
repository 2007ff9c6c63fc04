#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/gguf_reader.h"
#include "nlohmann/json.hpp"
#include "server/broker.h"
#include "server/catalog.h"
#include "server/model_facts.h"

namespace hypura::ollama {

using Json = nlohmann::ordered_json;

// An entry of /api/tags.
Json tag_entry(const CatalogModel& model, const ModelFacts& facts);
// An entry of /api/ps: a tag entry of a model that is loaded. `gpu_bytes` of its weights, and its
// context in tokens, as its process says.
Json running_entry(const CatalogModel& model, const ModelFacts& facts, const Broker::Facts& life,
                   uint64_t gpu_bytes, uint64_t context);
// The answer to /api/show. `metadata`: of the file; arrays are shown where `verbose`.
Json show_answer(const CatalogModel& model, const ModelFacts& facts,
                 const std::vector<MetadataEntry>& metadata, bool verbose);

// "7.6B", "494M".
std::string parameter_size(uint64_t parameters);

}  // namespace hypura::ollama
