#include "plan/gpu_share.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/units.h"

namespace hypura {
namespace {

constexpr const char* kBlock = "blk.";
// Alignment and the padding that GPUs want behind a tensor.
constexpr uint64_t kTensorSlack = 4096;
// Of a layer's FFN or experts, what must be won where it leaves the GPU: the CPU computes it then,
// and one of the two waits for the other.
constexpr uint64_t kWorthParts = 8;
// One is filled while another computes.
constexpr uint32_t kPlaces = 2;

bool may_stay_below(const TensorInfo& tensor) {
  return tensor.layer >= 0 && tensor.name.starts_with(kBlock) &&
         (tensor.role == TensorRole::dense_ffn || tensor.role == TensorRole::expert);
}

// What follows the layer's number in the name of a tensor that may stay below.
std::string suffix_of(const std::string& name) {
  return name.substr(name.find('.', std::string_view(kBlock).size()) + 1);
}

// What a layer's FFN computes with last, just before the GPU goes on: there, it needs no graph of
// its own.
bool ends_ffn(const TensorInfo& tensor) {
  return may_stay_below(tensor) && suffix_of(tensor.name).starts_with("ffn_down");
}

// Of one layer, or of what lies outside of layers.
struct LayerBytes {
  uint64_t core = 0;
  uint64_t below = 0;  // FFN matrices and experts
  uint64_t ends = 0;   // of these, the last ones
};

struct ModelBytes {
  LayerBytes outside;  // with the copy
  uint64_t copy = 0;   // of embeddings
  std::map<int, LayerBytes> layers;  // by number: files may name any
  uint64_t dense = 0;                // of what may stay below, in all layers
  uint64_t experts = 0;
};

ModelBytes bytes_of(const ModelIndex& index) {
  ModelBytes bytes;
  uint64_t embedding = 0;
  bool has_output = false;
  for (const TensorInfo& tensor : index.tensors()) {
    if (tensor.left_out) continue;
    if (tensor.role == TensorRole::embedding) {
      embedding = std::max(embedding, tensor.bytes);
      continue;
    }
    has_output |= tensor.role == TensorRole::output;
    LayerBytes& part = tensor.layer >= 0 ? bytes.layers[tensor.layer] : bytes.outside;
    (may_stay_below(tensor) ? part.below : part.core) += tensor.bytes;
    if (!may_stay_below(tensor)) continue;
    if (ends_ffn(tensor)) part.ends += tensor.bytes;
    (tensor.role == TensorRole::expert ? bytes.experts : bytes.dense) += tensor.bytes;
  }
  // Without an output of its own a model multiplies with its embeddings: llama.cpp copies them.
  if (!has_output) bytes.copy = embedding;
  bytes.outside.core += bytes.copy;
  return bytes;
}

std::string escaped(std::string_view text) {
  constexpr std::string_view kSpecial = R"(\^$.|?*+()[]{})";
  std::string result;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

bool is_cached(const TensorInfo& tensor) {
  return tensor.role == TensorRole::expert && may_stay_below(tensor) && !tensor.left_out;
}

// Slots for the same share of every layer's experts, as each token routes in each. Nothing where
// `bytes` hold less than a token needs, or the tensors of a layer have different experts.
std::optional<GpuShare::Experts> choose_cache(const ModelIndex& index, uint64_t bytes,
                                              uint32_t experts_used) {
  std::map<int, uint32_t> counts;  // of experts, by layer
  GpuShare::Experts experts{.places = kPlaces};
  uint64_t all_bytes = 0;
  uint64_t slack_bytes = 0;
  for (const TensorInfo& tensor : index.tensors()) {
    if (!is_cached(tensor)) continue;
    if (counts.try_emplace(tensor.layer, tensor.expert_count).first->second !=
        tensor.expert_count) {
      return std::nullopt;
    }
    experts.place_bytes = std::max(experts.place_bytes, tensor.bytes + kTensorSlack);
    all_bytes += tensor.bytes;
    slack_bytes += kTensorSlack;
  }
  const uint64_t beside = experts.places * experts.place_bytes + slack_bytes;
  if (bytes <= beside) return std::nullopt;
  const double share = static_cast<double>(bytes - beside) / static_cast<double>(all_bytes);
  experts.slots.assign(index.tensors().size(), 0);
  for (uint32_t i = 0; i < experts.slots.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (!is_cached(tensor)) continue;
    const uint32_t slots = static_cast<uint32_t>(share * tensor.expert_count);
    if (slots < experts_used) return std::nullopt;
    experts.slots[i] = std::min(slots, tensor.expert_count);
    experts.cache_bytes += experts.slots[i] * tensor.expert_bytes() + kTensorSlack;
  }
  return experts;
}

// Places for any matrix of a layer, and activations.
std::optional<GpuShare::Batches> choose_batches(const ModelIndex& index, uint64_t compute_bytes) {
  if (compute_bytes == 0) return std::nullopt;
  // Kernels take about as much for themselves: rows of tokens in another type, tables of a product.
  GpuShare::Batches batches{.places = kPlaces, .compute_bytes = 2 * compute_bytes};
  for (const TensorInfo& tensor : index.tensors()) {
    if (tensor.layer < 0) continue;
    batches.place_bytes = std::max(batches.place_bytes, tensor.bytes + kTensorSlack);
  }
  return batches;
}

// Layers whose FFN or experts lie on the GPU.
struct Ffns {
  std::set<int> whole;
  std::set<int> ends;  // of others
  uint64_t left = 0;   // bytes of the GPU
};

// From the last layer on, at most `most` of them as a whole.
Ffns choose_ffns(const ModelBytes& bytes, uint64_t left, size_t most) {
  Ffns ffns{.left = left};
  for (auto layer = bytes.layers.rbegin(); layer != bytes.layers.rend(); ++layer) {
    // No gaps: the experts of the next layer are guessed only where those lie below, too.
    if (ffns.whole.size() == most || layer->second.below > ffns.left) break;
    ffns.left -= layer->second.below;
    ffns.whole.insert(layer->first);
  }
  for (auto layer = bytes.layers.rbegin(); layer != bytes.layers.rend(); ++layer) {
    if (ffns.whole.contains(layer->first) || layer->second.ends > ffns.left) continue;
    ffns.left -= layer->second.ends;
    ffns.ends.insert(layer->first);
  }
  return ffns;
}

}  // namespace

GpuPart& GpuPart::operator+=(const GpuPart& other) {
  counted += other.counted;
  layers += other.layers;
  output |= other.output;
  weight_bytes += other.weight_bytes;
  kv_bytes += other.kv_bytes;
  return *this;
}

TensorId GpuShare::Experts::first() const {
  const auto found = std::find_if(slots.begin(), slots.end(), [](uint32_t n) { return n > 0; });
  return TensorId{static_cast<uint32_t>(found - slots.begin())};
}

GpuShare choose_gpu_share(const ModelIndex& index, const GpuShareInput& input) {
  const ModelBytes bytes = bytes_of(index);
  GpuShare share;
  if (bytes.layers.empty() || input.bytes <= bytes.outside.core) return share;
  share.batches = choose_batches(index, input.batch_compute_bytes);
  const uint64_t places_bytes = share.batches.has_value() ? share.batches->bytes() : 0;
  if (input.bytes <= bytes.outside.core + places_bytes) return {};
  uint64_t left = input.bytes - bytes.outside.core - places_bytes;
  const uint64_t layer_kv = (input.kv_bytes + bytes.layers.size() - 1) / bytes.layers.size();
  int first = 0;  // of the layers that are there
  for (auto layer = bytes.layers.rbegin(); layer != bytes.layers.rend(); ++layer) {
    const uint64_t taken = layer->second.core + layer_kv;
    if (taken > left) break;
    left -= taken;
    first = layer->first;
    ++share.layers;
    share.kv_bytes += layer_kv;
  }
  if (share.layers == 0) return {};

  const bool all_layers = share.layers == bytes.layers.size();
  if (all_layers && input.experts_used > 0 && bytes.dense <= left &&
      bytes.dense + bytes.experts > left) {
    share.experts = choose_cache(index, left - bytes.dense, input.experts_used);
  }
  Ffns ffns;
  if (all_layers && !share.experts.has_value()) {
    ffns = choose_ffns(bytes, left, bytes.layers.size());
    const uint64_t below = bytes.dense + bytes.experts - (left - ffns.left);
    if (below > input.ram_bytes && !ffns.whole.empty()) {
      Ffns fewer = choose_ffns(bytes, left, ffns.whole.size() - 1);
      const uint64_t worth = bytes.layers.at(*ffns.whole.begin()).below / kWorthParts;
      if (fewer.left + worth <= ffns.left) ffns = std::move(fewer);
    }
  }
  share.copy_bytes = bytes.copy;
  share.on_gpu.resize(index.tensors().size());
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (tensor.role == TensorRole::embedding || tensor.left_out) continue;
    const bool dense = share.experts.has_value() && tensor.role != TensorRole::expert;
    const bool ffn = ffns.whole.contains(tensor.layer) ||
                     (ffns.ends.contains(tensor.layer) && ends_ffn(tensor));
    const bool inside = tensor.layer >= first && (dense || !may_stay_below(tensor) || ffn);
    share.on_gpu[i] = tensor.layer < 0 || inside;
    if (share.on_gpu[i]) share.weight_bytes += tensor.bytes;
  }
  return share;
}

LayerRange gpu_layers(const ModelIndex& index, const GpuShare& share) {
  int end = static_cast<int>(index.info().layer_count);
  int first = end;
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const int layer = index.tensor(TensorId{i}).layer;
    if (layer < 0) continue;
    end = std::max(end, layer + 1);
    if (share.on_gpu[i]) first = std::min(first, layer);
  }
  return {.first = first, .end = end};
}

Status holds_no_layer(const EmptyShare& share) {
  return Status(StatusCode::does_not_fit,
                fmt::format("--gpu-budget {} holds no layer of this model",
                            format_bytes(share.budget_bytes)))
      .because(fmt::format("activations take {}{}, KV {} over all layers",
                           format_bytes(share.compute_bytes),
                           share.gpus > 1 ? fmt::format(" on each of {} GPUs", share.gpus) : "",
                           format_bytes(share.kv_bytes)))
      .suggest("a larger one, 0, a smaller --ctx or a smaller -ub");
}

GpuShare unified_gpu_share(const ModelIndex& index) {
  GpuShare share;
  GpuShare::Experts experts{.slots = std::vector<uint32_t>(index.tensors().size()),
                            .places = kPlaces};
  std::set<int> layers;
  share.on_gpu.resize(index.tensors().size());
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (tensor.left_out) continue;
    if (tensor.layer >= 0) layers.insert(tensor.layer);
    if (is_cached(tensor)) {
      experts.place_bytes = std::max(experts.place_bytes, tensor.bytes + kTensorSlack);
    } else if (tensor.role != TensorRole::embedding) {
      share.on_gpu[i] = true;
      share.weight_bytes += tensor.bytes;
    }
  }
  if (experts.place_bytes == 0) return {};
  share.layers = static_cast<uint32_t>(layers.size());
  share.experts = std::move(experts);
  return share;
}

std::string names_below(const ModelIndex& index, const GpuShare& share) {
  // llama.cpp tries each expression on each tensor: one for all, and as short as layers allow.
  std::map<std::string, std::set<int>> layers_of;  // by suffix
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (share.on_gpu[i] || !may_stay_below(tensor)) continue;
    layers_of[suffix_of(tensor.name)].insert(tensor.layer);
  }
  std::map<std::set<int>, std::vector<std::string>> suffixes_of;
  for (const auto& [suffix, layers] : layers_of) suffixes_of[layers].push_back(escaped(suffix));
  std::vector<std::string> groups;
  for (const auto& [layers, suffixes] : suffixes_of) {
    groups.push_back(
        fmt::format(R"(blk\.({})\.({}))", fmt::join(layers, "|"), fmt::join(suffixes, "|")));
  }
  return groups.empty() ? std::string() : fmt::format("^({})$", fmt::join(groups, "|"));
}

}  // namespace hypura
