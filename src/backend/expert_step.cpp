#include "backend/expert_step.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "backend/pool_shadow.h"
#include "backend/routing_ids.h"
#include "base/check.h"

namespace hypura {

ExpertStep::ExpertStep(Residency& residency, NodeRunner& runner, ExpertPrefetch& prefetch,
                       const ExpertOrder& order)
    : residency_(residency),
      runner_(runner),
      prefetch_(prefetch),
      fill_(residency, order, prefetch.guesses()),
      groups_(residency, runner, routing_, prefetch, fill_) {}

void ExpertStep::begin(ggml_cgraph* graph) {
  graph_ = graph;
  routing_.forget();
}

Status ExpertStep::visit(int i, TensorId tensor) {
  ggml_tensor* node = graph_->nodes[i];
  const PooledTensor pooled = residency_.experts(tensor);
  if (!routing_.is_of(node->src[2])) {
    // Ids that come from elsewhere are a copy without an op, and known: guesses come too late.
    if (node->src[2]->op != GGML_OP_NONE) prefetch_.read_ahead();
    if (Status status = runner_.flush(i); !status.ok()) return status;
    if (Status status = read_routing(i); !status.ok()) return status;
    request_siblings(i);
    prefetch_.on_routing(tensor, routing_.experts(), node->src[1], node->src[2]->ne[1]);
    fill_.on_routing(graph_, i, routing_.experts());
  } else if (i > counted_until_) {
    count_uses(pooled);
  }

  // What is pending computes while reads are under way.
  if (!all_ready(pooled)) {
    if (Status status = runner_.flush(i); !status.ok()) return status;
    residency_.reader().pump();
  }
  bool leased = lease_all(pooled);
  if (!leased) {
    // What the pending run and the look-ahead hold may be what is missing.
    if (Status status = runner_.flush(i); !status.ok()) return status;
    ahead_.clear();
    prefetch_.forget();
    leased = lease_all(pooled);
  }
  if (leased && all_ready(pooled)) {
    patch_pool(node, pooled);
    return Status();
  }
  HYPURA_CHECK(runner_.next() == i);
  if (Status status = groups_.compute(node, tensor, leases_); !status.ok()) return status;
  runner_.skip(i);
  return Status();
}

void ExpertStep::release() { leases_.clear(); }

void ExpertStep::end() {
  leases_.clear();
  ahead_.clear();
  groups_.release();
  prefetch_.read_ahead();
}

void ExpertStep::release_all() {
  prefetch_.forget();
  fill_.forget();
  end();
}

Status ExpertStep::read_routing(int i) {
  const ggml_tensor* node = graph_->nodes[i];
  const uint32_t experts = static_cast<uint32_t>(node->src[0]->ne[2]);
  ahead_.clear();
  counted_until_ = i - 1;
  slot_of_.assign(experts, -1);
  return routing_.read(node->src[2], experts);
}

// Asks for the routed experts of this and the following projections in the order of use, as far as
// there are slots, so that the drive has them all at once.
void ExpertStep::request_siblings(int i) {
  const int end = std::min(graph_->n_nodes, i + kSiblingNodes);
  for (int k = i; k < end; ++k) {
    const ggml_tensor* node = graph_->nodes[k];
    if (node->op != GGML_OP_MUL_MAT_ID || !routing_.is_of(node->src[2])) continue;
    const Weight* weight = weight_of(node->src[0]);
    if (weight == nullptr || residency_.home(weight->id) != Home::experts) continue;
    const PooledTensor pooled = residency_.experts(weight->id);
    count_uses(pooled);
    counted_until_ = k;
    // Read in turns, when they are: what comes behind must not come in front of them.
    if (routing_.experts().size() > pooled.pool->slots()) break;
    // Those that are there first, before reads for the others take their slots.
    for (const bool ready : {true, false}) {
      for (const int32_t expert : routing_.experts()) {
        if (pooled.pool->is_ready(pooled.source, static_cast<uint32_t>(expert)) != ready) continue;
        std::optional<Lease> lease =
            pooled.pool->request(pooled.source, static_cast<uint32_t>(expert), ReadClass::demand);
        if (!lease) break;
        ahead_.push_back(*std::move(lease));
      }
    }
  }
  residency_.reader().pump();
}

void ExpertStep::count_uses(const PooledTensor& pooled) {
  for (const int32_t expert : routing_.experts()) {
    pooled.pool->count_use(pooled.source, static_cast<uint32_t>(expert));
  }
}

bool ExpertStep::all_ready(const PooledTensor& pooled) const {
  return std::all_of(routing_.experts().begin(), routing_.experts().end(), [&](int32_t expert) {
    return pooled.pool->is_ready(pooled.source, static_cast<uint32_t>(expert));
  });
}

bool ExpertStep::lease_all(const PooledTensor& pooled) {
  if (routing_.experts().size() > pooled.pool->slots()) return false;
  const size_t held = leases_.size();
  for (const int32_t expert : routing_.experts()) {
    std::optional<Lease> lease =
        pooled.pool->request(pooled.source, static_cast<uint32_t>(expert), ReadClass::demand);
    if (!lease) {
      leases_.resize(held);
      return false;
    }
    slot_of_[static_cast<size_t>(expert)] = static_cast<int32_t>(lease->slot().value);
    leases_.push_back(*std::move(lease));
  }
  return true;
}

// REQUIRES: all routed experts are leased and ready.
void ExpertStep::patch_pool(ggml_tensor* node, const PooledTensor& pooled) {
  const ggml_tensor* ids = node->src[2];
  int32_t* slots = runner_.indices(static_cast<size_t>(ids->ne[0] * ids->ne[1]));
  for (int64_t token = 0; token < ids->ne[1]; ++token) {
    for (int64_t choice = 0; choice < ids->ne[0]; ++choice) {
      slots[token * ids->ne[0] + choice] =
          slot_of_[static_cast<size_t>(id_at(ids, choice, token))];
    }
  }
  ggml_tensor* weight_shadow = runner_.shadow(node->src[0]);
  point_to_pool(weight_shadow, pooled);
  ggml_tensor* ids_shadow = runner_.shadow(ids);
  ids_shadow->data = slots;
  set_contiguous(ids_shadow, ids->ne[0], ids->ne[1], 1);
  runner_.patch(node, 0, weight_shadow);
  runner_.patch(node, 2, ids_shadow);
}

}  // namespace hypura
