#include "backend/gpu/graph_mirror.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

namespace hypura {
namespace {

constexpr int64_t kCount = 64;

// A graph whose tensors lie in RAM, and a backend that could be a GPU's.
class GraphMirrorTest : public testing::Test {
 protected:
  GraphMirrorTest()
      : context_(ggml_init({.mem_size = 64 * ggml_tensor_overhead() + ggml_graph_overhead(),
                            .mem_buffer = nullptr,
                            .no_alloc = true})),
        graph_(ggml_new_graph(context_.get())),
        backend_(ggml_backend_cpu_init()),
        mirror_(backend_.get()) {}

  ggml_tensor* input() { return ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, kCount); }
  void allocate() {
    buffer_.reset(ggml_backend_alloc_ctx_tensors(context_.get(), backend_.get()));
    ASSERT_NE(buffer_, nullptr);
    ggml_backend_buffer_clear(buffer_.get(), 0);
  }
  void fill(ggml_tensor* tensor, float first) {
    for (int64_t i = 0; i < kCount; ++i) {
      static_cast<float*>(tensor->data)[i] = first + static_cast<float>(i);
    }
  }
  void compute(int begin, int end) {
    ASSERT_TRUE(mirror_.build(graph_, begin, end));
    mirror_.send();
    ASSERT_EQ(ggml_backend_graph_compute(backend_.get(), mirror_.graph()), GGML_STATUS_SUCCESS);
    mirror_.fetch();
  }
  static float value(const ggml_tensor* tensor, size_t i) {
    return static_cast<const float*>(tensor->data)[i];
  }

  ggml_context_ptr context_;
  ggml_cgraph* graph_;
  ggml_backend_ptr backend_;
  ggml_backend_buffer_ptr buffer_;
  GraphMirror mirror_;
};

TEST_F(GraphMirrorTest, OnlyWhatIsUsedOutsideComesBack) {
  ggml_tensor* a = input();
  ggml_tensor* b = input();
  ggml_tensor* sum = ggml_add(context_.get(), a, b);
  ggml_tensor* square = ggml_sqr(context_.get(), sum);
  ggml_tensor* after = ggml_scale(context_.get(), square, 2);
  ggml_build_forward_expand(graph_, after);
  allocate();
  fill(a, 1);
  fill(b, 10);
  compute(0, 2);
  EXPECT_EQ(value(square, 3), 17.0f * 17.0f);
  EXPECT_EQ(value(sum, 3), 0) << "nobody outside reads it";
  EXPECT_EQ(value(after, 3), 0) << "it is no part";
}

TEST_F(GraphMirrorTest, ViewsOfInputsAndOfResults) {
  ggml_tensor* a = input();
  ggml_tensor* half = ggml_view_1d(context_.get(), a, kCount / 2, sizeof(float) * kCount / 2);
  ggml_tensor* square = ggml_sqr(context_.get(), half);
  ggml_tensor* part = ggml_view_1d(context_.get(), square, 4, 0);
  ggml_tensor* after = ggml_scale(context_.get(), part, 2);
  ggml_build_forward_expand(graph_, after);
  allocate();
  fill(a, 0);
  compute(0, 3);
  EXPECT_EQ(value(square, 1), 33.0f * 33.0f);
  EXPECT_EQ(value(square, 20), 52.0f * 52.0f) << "the view's whole root";
  // The view itself outside of the run.
  fill(a, 1);
  compute(1, 2);
  EXPECT_EQ(value(square, 1), 34.0f * 34.0f);
}

// ggml's casts have themselves as a source, to which CUDA writes.
TEST_F(GraphMirrorTest, ACastIsItsOwnSource) {
  ggml_tensor* a = input();
  ggml_tensor* cast = ggml_cast(context_.get(), a, GGML_TYPE_F16);
  ggml_tensor* back = ggml_cast(context_.get(), cast, GGML_TYPE_F32);
  ggml_tensor* after = ggml_scale(context_.get(), back, 2);
  ggml_build_forward_expand(graph_, after);
  allocate();
  fill(a, 1);
  compute(0, 2);
  EXPECT_EQ(value(back, 5), 6.0f);
  for (int i = 0; i < mirror_.graph()->n_nodes; ++i) {
    const ggml_tensor* node = mirror_.graph()->nodes[i];
    EXPECT_EQ(node->src[1], node);
  }
}

TEST_F(GraphMirrorTest, OutputsComeBackThoughNobodyUsesThem) {
  ggml_tensor* a = input();
  ggml_tensor* square = ggml_sqr(context_.get(), a);
  ggml_set_output(square);
  ggml_tensor* after = ggml_sqrt(context_.get(), square);
  ggml_build_forward_expand(graph_, after);
  allocate();
  fill(a, 1);
  compute(0, 2);
  EXPECT_EQ(value(square, 2), 9.0f);
}

// The same operators and sizes, but another node reads the first input.
TEST_F(GraphMirrorTest, ARunLikeTheOneBeforeHasMemoryOfItsOwn) {
  for (const bool last_reads_first : {false, true}) {
    ggml_tensor* a = input();
    ggml_tensor* b = input();
    ggml_tensor* one = ggml_sqr(context_.get(), a);
    ggml_tensor* two = ggml_sqr(context_.get(), b);
    ggml_tensor* sum = ggml_add(context_.get(), one, two);
    ggml_tensor* last = ggml_add(context_.get(), sum, last_reads_first ? one : sum);
    ggml_tensor* after = ggml_scale(context_.get(), last, 1);
    ggml_graph_clear(graph_);
    ggml_build_forward_expand(graph_, after);
    allocate();
    fill(a, 1);
    fill(b, 2);
    compute(0, 4);
    EXPECT_EQ(value(last, 0), last_reads_first ? 6.0f : 10.0f);
  }
}

// Fused operators read at other times than their nodes say: backends ask that memory stays.
TEST_F(GraphMirrorTest, WhatABackendKeepsIsNotOverwritten) {
  const auto keep = [](ggml_backend_t, ggml_cgraph* graph,
                       ggml_backend_graph_optimize_params* params) {
    ggml_tensor** nodes = graph->nodes;
    params->add_alloc_dep(params->user_data, nodes[0], nodes[graph->n_nodes - 1]);
    params->add_alloc_dep(params->user_data, nodes[0], nodes[graph->n_nodes]);  // as CUDA does
  };
  for (const bool keeps : {false, true}) {
    backend_->iface.graph_optimize = keeps ? +keep : nullptr;
    ggml_tensor* a = input();
    ggml_tensor* one = ggml_sqr(context_.get(), a);
    ggml_tensor* two = ggml_sum(context_.get(), one);
    ggml_tensor* three = ggml_repeat(context_.get(), two, a);
    ggml_tensor* after = ggml_scale(context_.get(), three, 1);
    ggml_graph_clear(graph_);
    ggml_build_forward_expand(graph_, after);
    allocate();
    fill(a, 1);
    compute(0, 3);
    const ggml_tensor* first = mirror_.graph()->nodes[0];
    EXPECT_EQ(value(first, 1) == 4.0f, keeps) << "its memory is that of the last one";
    EXPECT_EQ(value(three, 0), value(three, 63));
  }
}

}  // namespace
}  // namespace hypura
