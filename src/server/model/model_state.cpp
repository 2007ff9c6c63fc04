#include "server/model/model_state.h"

#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "base/units.h"
#include "machine/memory.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json known(const std::optional<T>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

struct LayerBytes {
  uint64_t gpu = 0;
  uint64_t pinned = 0;
  uint64_t cached = 0;
  uint64_t drive = 0;
};

// Where each layer's weights have their home, and its share of the slots. Pools that several
// tensors share are divided among these.
std::map<int, LayerBytes> layer_bytes(const Engine& engine) {
  const ModelIndex& index = engine.index();
  const Layout* layout = engine.layout();
  const std::vector<bool>& on_gpu = engine.plan().gpu.on_gpu;
  std::map<int, LayerBytes> layers;
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const TensorInfo& tensor = index.tensors()[i];
    LayerBytes& layer = layers[tensor.layer];
    const Home home = layout == nullptr ? Home::pinned : layout->homes[i].home;
    if (i < on_gpu.size() && on_gpu[i]) {
      layer.gpu += tensor.bytes;
      if (layout != nullptr && home == Home::pinned) layer.pinned += tensor.bytes;
      continue;
    }
    const bool stays = home == Home::pinned || home == Home::repacked;
    (stays ? layer.pinned : layer.drive) += tensor.bytes;
    if (home != Home::experts) continue;
    const PoolLayout& pool = layout->pools[layout->homes[i].pool];
    layer.cached += pool.slots * pool.slice_bytes / pool.tensors.size();
  }
  return layers;
}

Json layers_json(const Engine& engine) {
  Json layers = Json::array();
  for (const auto& [number, bytes] : layer_bytes(engine)) {
    layers.push_back({{"layer", number},
                      {"gpu_bytes", bytes.gpu},
                      {"pinned_bytes", bytes.pinned},
                      {"cached_bytes", bytes.cached},
                      {"drive_bytes", bytes.drive}});
  }
  return layers;
}

Json reasons(const PlanSummary& plan) {
  Json why = Json::array();
  if (plan.streamed_bytes == 0) {
    why.push_back(plan.mode == Mode::mapped
                      ? "The page cache just holds the weights, so the file is mapped."
                      : "All weights fit in memory: this is plain llama.cpp.");
  } else {
    why.push_back(fmt::format("{} of weights, and {} for KV and activations, are more than the {} "
                              "there are: {} have their home on the drive.",
                              format_bytes(plan.weight_bytes), format_bytes(plan.fixed_bytes),
                              format_bytes(plan.budget_bytes), format_bytes(plan.streamed_bytes)));
  }
  if (plan.expert_slots > 0) {
    why.push_back(fmt::format("{} of {} expert slices have a slot in RAM; those that the router "
                              "chooses and that have none are read.",
                              plan.expert_slots, plan.expert_slices));
  }
  if (!plan.gpu.names.empty()) {
    why.push_back(fmt::format("{} holds {} of weights{}.", plan.gpu.names,
                              format_bytes(plan.gpu.weight_bytes),
                              plan.gpu.experts   ? ", and experts are copied to it"
                              : plan.gpu.batches ? ", and computes prompts with what streams"
                                                 : ""));
  }
  if (!plan.threads.why.empty()) {
    why.push_back(fmt::format("{} threads for tokens, {} for prompts: {}.",
                              plan.threads.counts.token, plan.threads.counts.batch,
                              plan.threads.why));
  }
  return why;
}

Json reads_json(const EngineStats& stats, const ServedModel& model) {
  std::optional<double> roofline;
  if (model.drive_gbps.has_value()) roofline = *model.drive_gbps * 1e9;
  std::string device = stats.device;
  if (!device.empty()) device += stats.direct_io ? ", direct" : ", through the page cache";
  return {{"bytes", stats.residency.bytes_read},
          {"in_flight", stats.reads_outstanding},
          {"stall_seconds", static_cast<double>(stats.residency.stall_ns) * 1e-9},
          {"roofline_bytes_per_second", known(roofline)},
          {"device", device}};
}

Json experts_json(const EngineStats& stats, const PlanSummary& plan) {
  if (plan.expert_slices == 0) return nullptr;
  const ResidencyStats& residency = stats.residency;
  return {{"uses", residency.expert_hits + residency.expert_misses},
          {"hits", residency.expert_hits},
          {"slots", plan.expert_slots},
          {"slices", plan.expert_slices}};
}

Json elastic_json(const EngineStats& stats) {
  if (stats.cache.most == 0) return nullptr;
  return {{"cache_bytes_now", stats.cache.now},
          {"cache_bytes_most", stats.cache.most},
          {"given_back_bytes", stats.cache.most - stats.cache.now}};
}

}  // namespace

std::string model_state(const Engine& engine, const ServedModel& model,
                        const ServedTokens& tokens) {
  const PlanSummary& plan = engine.plan();
  const EngineStats stats = engine.last_stats();
  const common_params& params = engine.params();
  const Json state = {
      {"schema", 1},
      {"model", model.name},
      {"path", engine.index().shards().front().path},
      {"pid", ::getpid()},
      {"mode", to_string(plan.mode)},
      {"budget_bytes", plan.budget_bytes},
      {"fixed_bytes", plan.fixed_bytes},
      {"kv_bytes", plan.context.kv_bytes},
      {"weight_bytes", plan.weight_bytes},
      {"pinned_bytes", plan.pinned_bytes + plan.router_copy_bytes},
      {"cached_bytes", plan.cached_bytes},
      {"streamed_bytes", plan.streamed_bytes},
      {"gpu_bytes", plan.gpu.weight_bytes},
      {"gpu_copied_bytes", stats.gpu.has_value() ? Json(stats.gpu->copied_bytes) : Json(nullptr)},
      {"rss_bytes", resident_bytes()},
      {"context", engine.context_tokens() / static_cast<uint32_t>(params.n_parallel)},
      {"parallel", params.n_parallel},
      {"threads", params.cpuparams.n_threads},
      {"tokens",
       {{"prompt", tokens.prompt},
        {"prompt_seconds", tokens.prompt_seconds},
        {"generated", tokens.generated},
        {"generated_seconds", tokens.generated_seconds}}},
      {"reads", reads_json(stats, model)},
      {"experts", experts_json(stats, plan)},
      {"predicted_decode_tps", known(model.predicted_decode_tps)},
      {"slots", {{"total", params.n_parallel}, {"busy", tokens.busy_slots}}},
      {"deferred", tokens.deferred},
      {"elastic", elastic_json(stats)},
      {"layers", layers_json(engine)},
      {"why", reasons(plan)},
  };
  return json_text(state);
}

}  // namespace hypura
