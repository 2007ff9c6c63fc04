#include "backend/gpu/graph_mirror.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "backend/weight.h"
#include "ggml-backend-impl.h"

namespace hypura {
namespace {

const ggml_tensor* root_of(const ggml_tensor* tensor) {
  return tensor->view_src != nullptr ? tensor->view_src : tensor;
}

// What the mirror leaves where it is.
bool is_matrix_of_ours(const ggml_tensor* node, int position) {
  const bool product = node->op == GGML_OP_MUL_MAT || node->op == GGML_OP_MUL_MAT_ID;
  return product && position == 0 && weight_of(node->src[0]) != nullptr;
}

}  // namespace

GraphMirror::GraphMirror(ggml_backend_t backend)
    : backend_(backend),
      allocator_(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend))) {}

bool GraphMirror::build(const ggml_cgraph* graph, int begin, int end) {
  copies_.clear();
  uses_.clear();
  inputs_.clear();
  results_.clear();
  // A node has a few sources, each of which may be an input and a view of it; and what
  // graph_to_allocate() adds.
  const size_t nodes = static_cast<size_t>(end - begin);
  const size_t tensors = nodes * (3 + 2 * GGML_MAX_SRC) + 1;
  memory_.resize(std::max(memory_.size(), tensors * ggml_tensor_overhead() +
                                              2 * ggml_graph_overhead_custom(tensors, false)));
  context_.reset(
      ggml_init({.mem_size = memory_.size(), .mem_buffer = memory_.data(), .no_alloc = true}));
  graph_ = ggml_new_graph_custom(context_.get(), tensors, false);
  // Backends look one node too far, and shall not find those of another mirror.
  ggml_tensor* nothing = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, 1);
  std::fill(graph_->nodes, graph_->nodes + tensors, nothing);

  for (int i = begin; i < end; ++i) {
    ggml_tensor* node = graph->nodes[i];
    ggml_tensor* copy = make_copy(node);
    copies_[node] = copy;  // a cast has itself as a source
    for (int position = 0; position < GGML_MAX_SRC; ++position) {
      ggml_tensor* source = node->src[position];
      if (source == nullptr) continue;
      ++uses_[source];
      copy->src[position] = is_matrix_of_ours(node, position) ? source : copy_of(source);
    }
    if (node->view_src != nullptr) copy->view_src = copy_of(node->view_src);
  }
  find_results(graph, begin, end);
  for (int i = begin; i < end; ++i) ggml_build_forward_expand(graph_, copies_[graph->nodes[i]]);
  // An allocator goes by sizes when it looks whether a graph is the one before: it has to be told.
  ggml_cgraph* allocated = graph_to_allocate(tensors);
  return ggml_gallocr_reserve(allocator_.get(), allocated) &&
         ggml_gallocr_alloc_graph(allocator_.get(), allocated);
}

// The nodes, and behind some others that keep memory until then, as llama.cpp's scheduler adds
// them: fused operators read and write at other times than their nodes say.
ggml_cgraph* GraphMirror::graph_to_allocate(size_t tensors) {
  using Kept = std::unordered_map<ggml_tensor*, std::vector<ggml_tensor*>>;
  Kept kept;
  ggml_backend_graph_optimize_params params{
      .add_alloc_dep =
          [](void* user_data, ggml_tensor* tensor, ggml_tensor* until) {
            if (weight_of(tensor) != nullptr) return;  // lies elsewhere
            std::vector<ggml_tensor*>& list = (*static_cast<Kept*>(user_data))[until];
            if (std::find(list.begin(), list.end(), tensor) == list.end()) list.push_back(tensor);
          },
      .user_data = &kept};
  const auto optimize = backend_->iface.graph_optimize;
  if (optimize != nullptr) optimize(backend_, graph_, &params);

  ggml_cgraph* graph = ggml_new_graph_custom(context_.get(), tensors, false);
  std::copy(graph_->leafs, graph_->leafs + graph_->n_leafs, graph->leafs);
  graph->n_leafs = graph_->n_leafs;
  for (int i = 0; i < graph_->n_nodes; ++i) {
    graph->nodes[graph->n_nodes++] = graph_->nodes[i];
    const auto found = kept.find(graph_->nodes[i]);
    if (found == kept.end()) continue;
    const std::vector<ggml_tensor*>& list = found->second;
    for (size_t first = 0; first < list.size(); first += GGML_MAX_SRC) {
      ggml_tensor* keeper = ggml_view_tensor(context_.get(), list[first]);
      const size_t count = std::min<size_t>(GGML_MAX_SRC, list.size() - first);
      std::copy_n(list.begin() + static_cast<std::ptrdiff_t>(first), count, keeper->src);
      graph->nodes[graph->n_nodes++] = keeper;
    }
  }
  return graph;
}

// A description alone, without sources and memory.
ggml_tensor* GraphMirror::make_copy(const ggml_tensor* tensor) {
  ggml_tensor* copy = ggml_new_tensor(context_.get(), tensor->type, GGML_MAX_DIMS, tensor->ne);
  copy->op = tensor->op;
  std::copy(std::begin(tensor->nb), std::end(tensor->nb), std::begin(copy->nb));
  std::memcpy(copy->op_params, tensor->op_params, sizeof copy->op_params);
  copy->view_offs = tensor->view_offs;
  ggml_set_name(copy, tensor->name);
  return copy;
}

// A node of the mirror, or an input, or a view of one.
ggml_tensor* GraphMirror::copy_of(ggml_tensor* tensor) {
  if (const auto found = copies_.find(tensor); found != copies_.end()) return found->second;
  ggml_tensor* copy = make_copy(tensor);
  if (tensor->view_src != nullptr) {
    copy->op = GGML_OP_VIEW;
    copy->view_src = copy->src[0] = copy_of(tensor->view_src);
  } else {
    copy->op = GGML_OP_NONE;
    // Never overwritten: fused operators may read it late.
    ggml_set_input(copy);
    ggml_set_output(copy);
    inputs_.push_back({.original = tensor, .copy = copy});
  }
  return copies_[tensor] = copy;
}

// Uses outside are those of the whole graph less those within.
void GraphMirror::find_results(const ggml_cgraph* graph, int begin, int end) {
  for (int i = begin; i < end; ++i) {
    const ggml_tensor* node = graph->nodes[i];
    const bool outside = ggml_node_get_use_count(graph, i) > uses_[node] ||
                         (node->flags & GGML_TENSOR_FLAG_OUTPUT) != 0;
    if (!outside) continue;
    ggml_tensor* root = const_cast<ggml_tensor*>(root_of(node));
    ggml_tensor* copy = copies_[root];
    // A view of what was read is as it was.
    if ((copy->flags & (GGML_TENSOR_FLAG_OUTPUT | GGML_TENSOR_FLAG_INPUT)) != 0) continue;
    ggml_set_output(copy);
    results_.push_back({.original = root, .copy = copy});
  }
}

void GraphMirror::send() {
  for (const Pair& input : inputs_) {
    ggml_backend_tensor_set_async(backend_, input.copy, input.original->data, 0,
                                  ggml_nbytes(input.copy));
  }
}

void GraphMirror::fetch() {
  for (const Pair& result : results_) {
    ggml_backend_tensor_get_async(backend_, result.copy, result.original->data, 0,
                                  ggml_nbytes(result.copy));
  }
  ggml_backend_synchronize(backend_);
}

}  // namespace hypura
