#include "backend/graph_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backend/streamed_model.h"
#include "base/clock.h"

namespace hypura {
namespace {

// Bytes of weights, times tokens, that compute between two looks at the drive: 0.8 ms at 20 GB/s,
// against 15 us that the cut costs.
constexpr uint64_t kUnwatchedWork = 16 << 20;

// A view made before its weight was resident still points to where the weight was not.
void follow_weight(ggml_tensor* source) {
  if (source->view_src == nullptr) return;
  source->data = static_cast<std::byte*>(source->view_src->data) + source->view_offs;
}

std::unique_ptr<ExpertPredictor> make_predictor(const PrefetchOptions& options,
                                                const ModelIndex& index,
                                                const Residency& residency, NodeRunner& runner) {
  switch (options.predictor) {
    case Prefetch::off: return nullptr;
    case Prefetch::router: return make_router_predictor(index, residency, runner);
    case Prefetch::coactivation: return make_coactivation_predictor(*options.coactivation);
  }
  return nullptr;
}

// Tensors whose experts lie in pools, as graphs use them.
std::vector<TensorId> streamed_experts(const StreamedModel& model, const Residency& residency) {
  std::vector<TensorId> order;
  for (uint32_t i = 0; i < model.uses().size(); ++i) {
    if (residency.home(TensorId{i}) == Home::experts) order.push_back(TensorId{i});
  }
  std::stable_sort(order.begin(), order.end(), [&](TensorId a, TensorId b) {
    return model.uses()[a.value].number < model.uses()[b.value].number;
  });
  return order;
}

}  // namespace

GraphWalk::GraphWalk(StreamedModel& model, Residency& residency,
                     const PrefetchOptions& prefetch)
    : model_(&model),
      residency_(residency),
      runner_([this] {
        pieces_.clear();
        experts_.release();
      }),
      order_(model.index(), streamed_experts(model, residency)),
      prefetch_(residency, order_, make_predictor(prefetch, model.index(), residency, runner_)),
      experts_(residency, runner_, prefetch_, order_),
      rows_(residency, runner_) {}

ggml_status GraphWalk::run(ggml_backend_t backend, ggml_cgraph* graph, GraphCompute cpu_compute) {
  const uint64_t start_ns = now_ns();
  graph_ = graph;
  error_ = Status();
  runner_.begin(backend, graph, cpu_compute);
  experts_.begin(graph);
  tap_.begin();

  if (batches_ != nullptr) batches_->begin(graph);

  Status status;
  for (int i = 0; i < graph->n_nodes && status.ok();) {
    const int end = batches_ == nullptr ? i : batches_->run_end(i);
    if (end > i) {
      status = compute_batch(i, end);
      // Else the GPU refused, and nothing is computed yet.
      if (runner_.next() == end) i = end;
    } else {
      status = visit(i++);
    }
  }
  if (status.ok()) status = runner_.flush(graph->n_nodes);
  if (status.ok()) {
    experts_.end();
  } else {
    runner_.abandon();
    experts_.release_all();
  }

  ++stats_.graphs;
  stats_.cpu_calls = runner_.calls();
  stats_.compute_ns = runner_.compute_ns() + batches_ns_;
  stats_.total_ns += now_ns() - start_ns;
  if (status.ok()) return GGML_STATUS_SUCCESS;
  if (status.code() == StatusCode::interrupted) return GGML_STATUS_ABORTED;
  error_ = std::move(status);
  return GGML_STATUS_FAILED;
}

// Makes the weights of node `i` resident, if they are not. Afterwards the node is pending with
// everything it needs, or computed.
Status GraphWalk::visit(int i) {
  ggml_tensor* node = graph_->nodes[i];
  // What the CPU backend skips needs no weights.
  if (ggml_op_is_empty(node->op) || ggml_is_empty(node)) return Status();
  if ((node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) return Status();
  if (Status status = stop_.check(); !status.ok()) return status;
  if (tap_.wants(node)) {
    if (Status status = record_routing(i); !status.ok()) return status;
  }
  const bool product = node->op == GGML_OP_MUL_MAT || node->op == GGML_OP_MUL_MAT_ID;
  if (product) model_->publish_stats_in_time();
  if (product && sizer_ != nullptr && sizer_->due()) {
    if (Status status = resize_caches(i); !status.ok()) return status;
  }

  int position = -1;
  const Weight* weight = nullptr;
  for (int k = 0; k < GGML_MAX_SRC; ++k) {
    if (node->src[k] == nullptr) continue;
    const Weight* found = weight_of(node->src[k]);
    if (found == nullptr) continue;
    if (found->model != model_) {
      return Status(StatusCode::failed, fmt::format("a graph uses weights of two models: {}, {}",
                                                    model_->path(), found->model->path()));
    }
    if (residency_.pinned(found->id) != nullptr) {
      follow_weight(node->src[k]);
      continue;
    }
    if (weight != nullptr) {
      return Status(StatusCode::failed, fmt::format("{} needs two streamed weights at once: {}, {}",
                                                    ggml_op_name(node->op),
                                                    node->src[position]->name, node->src[k]->name))
          .suggest("a larger RAM budget, so that one of them is resident");
    }
    weight = found;
    position = k;
  }
  if (weight == nullptr) return keep_reading(i);

  const ggml_tensor* source = node->src[position];
  const Home home = residency_.home(weight->id);
  if (position == 0 && source->view_src == nullptr) {
    if (node->op == GGML_OP_MUL_MAT && home == Home::stream) {
      return visit_matmul(i, weight->id);
    }
    if (node->op == GGML_OP_MUL_MAT_ID && home == Home::experts) {
      return experts_.visit(i, weight->id);
    }
    if (node->op == GGML_OP_GET_ROWS && residency_.rows(weight->id) != nullptr) {
      return rows_.visit(graph_, i, weight->id);
    }
  }
  return visit_whole(i, position, *weight);
}

// Nodes [i, end) by the GPU, if it has the memory.
Status GraphWalk::compute_batch(int i, int end) {
  if (Status status = runner_.flush(i); !status.ok()) return status;
  experts_.release_all();
  if (Status status = stop_.check(); !status.ok()) return status;
  model_->publish_stats_in_time();
  if (sizer_ != nullptr && sizer_->due()) {
    if (Status status = resize_caches(i); !status.ok()) return status;
  }
  const uint64_t start_ns = now_ns();
  const uint64_t stalled_ns = residency_.reader().stall_ns();
  const Result<bool> computed = batches_->compute(graph_, i, end);
  batches_ns_ += now_ns() - start_ns - (residency_.reader().stall_ns() - stalled_ns);
  if (!computed.ok()) return computed.status();
  if (*computed) runner_.skip_to(end);
  return Status();
}

// Pinned weights compute for milliseconds: in between, the reads that finished are collected and
// others started. Cut in front of a matrix product only, as streamed ones are.
Status GraphWalk::keep_reading(int i) {
  const ggml_tensor* node = graph_->nodes[i];
  if (node->op != GGML_OP_MUL_MAT) return Status();
  if (!experts_.wants_reads() && residency_.reader().idle()) return Status();
  const uint64_t work = ggml_nbytes(node->src[0]) * static_cast<uint64_t>(node->ne[1]);
  if (unwatched_work_ + work > kUnwatchedWork) {
    if (Status status = runner_.flush(i); !status.ok()) return status;
    experts_.read_ahead();
    unwatched_work_ = 0;
  }
  unwatched_work_ += work;
  return Status();
}

// Between layers, as a token may take longer than others can wait for memory. What is pending goes
// first, so that its leases hold nothing up.
Status GraphWalk::resize_caches(int i) {
  residency_.give_back_ended();
  const std::optional<uint64_t> bytes = sizer_->decide(residency_.cache_bytes());
  if (!bytes) return Status();
  if (Status status = runner_.flush(i); !status.ok()) return status;
  const uint64_t start_ns = now_ns();
  for (const TensorId moved : residency_.set_cache_bytes(*bytes)) model_->follow_home(moved);
  const uint64_t took_ns = now_ns() - start_ns;
  sizer_->on_changed(residency_.cache_bytes(), took_ns);
  return Status();
}

// The ids of node `i` are computed and recorded. Adapters have experts of their own, which follow
// the model's and have the same ids.
Status GraphWalk::record_routing(int i) {
  const ggml_tensor* node = graph_->nodes[i];
  const Weight* weight = weight_of(node->src[0]);
  if (weight == nullptr) return Status();
  if (Status status = runner_.flush(i); !status.ok()) return status;
  const int32_t layer = model_->index().tensor(weight->id).layer;
  return tap_.record(node, node->src[2], layer < 0 ? 0 : static_cast<uint32_t>(layer));
}

// A matrix product is computed piece by piece, each giving some rows of the output.
Status GraphWalk::visit_matmul(int i, TensorId tensor) {
  if (residency_.piece_count(tensor) == 1) return visit_single_piece(i, tensor);
  if (Status status = runner_.flush(i); !status.ok()) return status;
  ggml_tensor* node = graph_->nodes[i];
  for (uint32_t number = 0; number < residency_.piece_count(tensor); ++number) {
    const Residency::Piece piece = residency_.piece(tensor, number);
    Result<DenseRing::PieceLease> lease = residency_.ring().acquire(piece.index);
    if (!lease.ok()) return lease.status();
    ggml_tensor* weight = runner_.shadow(node->src[0]);
    weight->data = lease->data();
    weight->ne[1] = piece.rows;
    weight->nb[2] = weight->nb[1] * static_cast<size_t>(piece.rows);
    weight->nb[3] = weight->nb[2];
    ggml_tensor* output = runner_.shadow(node);
    output->data = static_cast<std::byte*>(node->data) +
                   static_cast<size_t>(piece.first_row) * node->nb[0];
    output->ne[0] = piece.rows;
    output->src[0] = weight;
    if (Status status = runner_.run_one(output); !status.ok()) return status;
  }
  runner_.skip(i);
  return Status();
}

// The piece joins the pending run if it is there; the run goes first if the piece is to be waited
// for, or if the ring would have no slot left to read ahead.
Status GraphWalk::visit_single_piece(int i, TensorId tensor) {
  DenseRing& ring = residency_.ring();
  const uint32_t piece = residency_.piece(tensor, 0).index;
  if (!ring.ready(piece) || ring.leased() + 1 >= (ring.slots() + 1) / 2) {
    if (Status status = runner_.flush(i); !status.ok()) return status;
  }
  Result<DenseRing::PieceLease> lease = ring.acquire(piece);
  if (!lease.ok()) return lease.status();
  ggml_tensor* node = graph_->nodes[i];
  ggml_tensor* weight = runner_.shadow(node->src[0]);
  weight->data = lease->data();
  runner_.patch(node, 0, weight);
  pieces_.push_back(*std::move(lease));
  return Status();
}

Status GraphWalk::visit_whole(int i, int position, const Weight& weight) {
  if (Status status = runner_.flush(i); !status.ok()) return status;
  Result<std::byte*> data = residency_.load_whole(weight.id);
  if (!data.ok()) return data.status();
  ggml_tensor* node = graph_->nodes[i];
  const ggml_tensor* source = node->src[position];
  ggml_tensor* whole = runner_.shadow(source);
  whole->data = *data + (source->view_src != nullptr ? source->view_offs : 0);
  runner_.patch(node, position, whole);
  return runner_.flush(i + 1);
}

}  // namespace hypura
