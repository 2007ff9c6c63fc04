#include "backend/graph_mirror.h"

#include <algorithm>
#include <cstring>

#include "backend/weight.h"

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

GraphMirror::GraphMirror(ggml_backend_dev_t gpu)
    : allocator_(ggml_gallocr_new(ggml_backend_dev_buffer_type(gpu))) {}

bool GraphMirror::build(const ggml_cgraph* graph, int begin, int end) {
  copies_.clear();
  uses_.clear();
  inputs_.clear();
  results_.clear();
  // A node has a few sources, each of which may be an input and a view of it.
  const size_t nodes = static_cast<size_t>(end - begin);
  const size_t tensors = nodes * (1 + 2 * GGML_MAX_SRC);
  memory_.resize(
      std::max(memory_.size(), tensors * ggml_tensor_overhead() +
                                   ggml_graph_overhead_custom(tensors, false)));
  context_.reset(
      ggml_init({.mem_size = memory_.size(), .mem_buffer = memory_.data(), .no_alloc = true}));
  graph_ = ggml_new_graph_custom(context_.get(), tensors, false);

  for (int i = begin; i < end; ++i) {
    ggml_tensor* node = graph->nodes[i];
    ggml_tensor* copy = make_copy(node);
    for (int position = 0; position < GGML_MAX_SRC; ++position) {
      ggml_tensor* source = node->src[position];
      if (source == nullptr) continue;
      ++uses_[source];
      copy->src[position] = is_matrix_of_ours(node, position) ? source : copy_of(source);
    }
    if (node->view_src != nullptr) copy->view_src = copy_of(node->view_src);
    copies_[node] = copy;
  }
  find_results(graph, begin, end);
  for (int i = begin; i < end; ++i) ggml_build_forward_expand(graph_, copies_[graph->nodes[i]]);
  return ggml_gallocr_alloc_graph(allocator_.get(), graph_);
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
    ggml_set_input(copy);
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

void GraphMirror::send(ggml_backend_t backend) {
  for (const Pair& input : inputs_) {
    ggml_backend_tensor_set_async(backend, input.copy, input.original->data, 0,
                                  ggml_nbytes(input.copy));
  }
}

void GraphMirror::fetch(ggml_backend_t backend) {
  for (const Pair& result : results_) {
    ggml_backend_tensor_get_async(backend, result.copy, result.original->data, 0,
                                  ggml_nbytes(result.copy));
  }
  ggml_backend_synchronize(backend);
}

}  // namespace hypura
