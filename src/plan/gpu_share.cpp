#include "plan/gpu_share.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace hypura {
namespace {

constexpr const char* kBlock = "blk.";

bool may_stay_below(const TensorInfo& tensor) {
  return tensor.layer >= 0 && tensor.name.starts_with(kBlock) &&
         (tensor.role == TensorRole::dense_ffn || tensor.role == TensorRole::expert);
}

// By what the tensors say: the metadata's number is whoever wrote the file's.
uint32_t layer_count(const ModelIndex& index) {
  int last = -1;
  for (const TensorInfo& tensor : index.tensors()) last = std::max(last, tensor.layer);
  return static_cast<uint32_t>(last + 1);
}

// Of one layer, or of what lies outside of layers.
struct LayerBytes {
  uint64_t core = 0;
  uint64_t below = 0;  // FFN matrices and experts
};

struct ModelBytes {
  LayerBytes outside;
  std::vector<LayerBytes> layers;
};

ModelBytes bytes_of(const ModelIndex& index) {
  ModelBytes bytes;
  bytes.layers.resize(layer_count(index));
  uint64_t embedding = 0;
  bool has_output = false;
  for (const TensorInfo& tensor : index.tensors()) {
    if (tensor.role == TensorRole::embedding) {
      embedding = std::max(embedding, tensor.bytes);
      continue;
    }
    has_output |= tensor.role == TensorRole::output;
    LayerBytes& part =
        tensor.layer >= 0 ? bytes.layers[static_cast<size_t>(tensor.layer)] : bytes.outside;
    (may_stay_below(tensor) ? part.below : part.core) += tensor.bytes;
  }
  // Without an output of its own a model multiplies with its embeddings: llama.cpp copies them.
  if (!has_output) bytes.outside.core += embedding;
  return bytes;
}

// What follows the layer's number in the name of a tensor that may stay below.
std::string suffix_of(const std::string& name) {
  return name.substr(name.find('.', std::string_view(kBlock).size()) + 1);
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '.' || c == '+' || c == '(' || c == ')' || c == '[' || c == '*') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

GpuShare choose_gpu_share(const ModelIndex& index, const GpuShareInput& input) {
  const ModelBytes bytes = bytes_of(index);
  const uint32_t layers = static_cast<uint32_t>(bytes.layers.size());
  GpuShare share;
  if (layers == 0 || input.bytes <= bytes.outside.core) return share;
  uint64_t left = input.bytes - bytes.outside.core;
  const uint64_t layer_kv = (input.kv_bytes + layers - 1) / layers;
  while (share.layers < layers) {
    const uint64_t taken = bytes.layers[layers - share.layers - 1].core + layer_kv;
    if (taken > left) break;
    left -= taken;
    ++share.layers;
    share.kv_bytes += layer_kv;
  }
  if (share.layers == 0) return share;

  std::vector<bool> whole(layers);
  for (uint32_t layer = 0; share.layers == layers && layer < layers; ++layer) {
    if (bytes.layers[layer].below > left) continue;
    left -= bytes.layers[layer].below;
    whole[layer] = true;
  }
  share.on_gpu.resize(index.tensors().size());
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (tensor.role == TensorRole::embedding) continue;
    const uint32_t layer = static_cast<uint32_t>(std::max(0, tensor.layer));
    const bool here = tensor.layer < 0 || (layer >= layers - share.layers &&
                                           (!may_stay_below(tensor) || whole[layer]));
    share.on_gpu[i] = here;
    if (here) share.weight_bytes += tensor.bytes;
  }
  return share;
}

std::string names_below(const ModelIndex& index, const GpuShare& share) {
  const int first = static_cast<int>(layer_count(index)) - static_cast<int>(share.layers);
  // llama.cpp tries each expression on each tensor: one for all, and as short as layers allow.
  std::map<std::string, std::set<int>> layers_of;  // by suffix
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (share.on_gpu[i] || tensor.layer < first || !may_stay_below(tensor)) continue;
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
