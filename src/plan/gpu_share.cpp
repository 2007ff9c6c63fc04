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

// Of one layer, or of what lies outside of layers.
struct LayerBytes {
  uint64_t core = 0;
  uint64_t below = 0;  // FFN matrices and experts
};

struct ModelBytes {
  LayerBytes outside;
  std::map<int, LayerBytes> layers;  // by number: files may name any
};

ModelBytes bytes_of(const ModelIndex& index) {
  ModelBytes bytes;
  uint64_t embedding = 0;
  bool has_output = false;
  for (const TensorInfo& tensor : index.tensors()) {
    if (tensor.role == TensorRole::embedding) {
      embedding = std::max(embedding, tensor.bytes);
      continue;
    }
    has_output |= tensor.role == TensorRole::output;
    LayerBytes& part = tensor.layer >= 0 ? bytes.layers[tensor.layer] : bytes.outside;
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
  constexpr std::string_view kSpecial = R"(\^$.|?*+()[]{})";
  std::string result;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

GpuShare choose_gpu_share(const ModelIndex& index, const GpuShareInput& input) {
  const ModelBytes bytes = bytes_of(index);
  GpuShare share;
  if (bytes.layers.empty() || input.bytes <= bytes.outside.core) return share;
  uint64_t left = input.bytes - bytes.outside.core;
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
  if (share.layers == 0) return share;

  std::set<int> whole;
  for (const auto& [layer, part] : bytes.layers) {
    if (share.layers < bytes.layers.size() || part.below > left) continue;
    left -= part.below;
    whole.insert(layer);
  }
  share.on_gpu.resize(index.tensors().size());
  for (uint32_t i = 0; i < share.on_gpu.size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (tensor.role == TensorRole::embedding) continue;
    const bool inside = tensor.layer >= first &&
                        (!may_stay_below(tensor) || whole.contains(tensor.layer));
    share.on_gpu[i] = tensor.layer < 0 || inside;
    if (share.on_gpu[i]) share.weight_bytes += tensor.bytes;
  }
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
