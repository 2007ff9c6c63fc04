#include "backend/expert_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "backend/routing_ids.h"
#include "base/check.h"

namespace hypura {
namespace {

// Bytes of weights, times rows, that a group computes before anybody looks at the drive again: 3 ms
// at 20 GB/s, in which a drive delivers its 8 MiB in flight. One without work waits for less.
constexpr uint64_t kGroupWork = 64 << 20;
constexpr uint64_t kHungryGroupWork = 16 << 20;

void set_contiguous(ggml_tensor* tensor, int64_t ne0, int64_t ne1, int64_t ne2) {
  tensor->ne[0] = ne0;
  tensor->ne[1] = ne1;
  tensor->ne[2] = ne2;
  tensor->ne[3] = 1;
  tensor->nb[0] = ggml_type_size(tensor->type);
  tensor->nb[1] = ggml_row_size(tensor->type, ne0);
  tensor->nb[2] = tensor->nb[1] * static_cast<size_t>(ne1);
  tensor->nb[3] = tensor->nb[2] * static_cast<size_t>(ne2);
}

// Rows of one group at most: what one expert can get, as a router names it once per token.
int64_t group_rows_max(const ggml_tensor* node) { return node->src[2]->ne[1]; }

// The pool, posing as the expert tensor.
void point_to_pool(ggml_tensor* shadow, const PooledTensor& pooled) {
  shadow->data = pooled.pool->base(pooled.source);
  shadow->ne[2] = pooled.pool->slots_max();
  shadow->nb[2] = pooled.pool->stride();
  shadow->nb[3] = shadow->nb[2] * pooled.pool->slots_max();
}

}  // namespace

uint64_t expert_scratch_bytes(const ggml_tensor* node) {
  const ggml_tensor* input = node->src[1];
  const uint64_t rows = static_cast<uint64_t>(group_rows_max(node));
  return rows * (ggml_row_size(input->type, input->ne[0]) + ggml_row_size(node->type, node->ne[0]) +
                 sizeof(int32_t));
}

void ExpertStep::Group::clear() {
  experts.clear();
  leases.clear();
}

void ExpertStep::Group::add(int32_t expert, Lease lease) {
  experts.push_back(expert);
  leases.push_back(std::move(lease));
}

ExpertStep::ExpertStep(Residency& residency, NodeRunner& runner, ExpertPrefetch& prefetch)
    : residency_(residency),
      runner_(runner),
      prefetch_(prefetch),
      fill_(residency, prefetch.guesses()) {}

void ExpertStep::begin(ggml_cgraph* graph) {
  graph_ = graph;
  routing_.ids = nullptr;
  prefetch_.begin(graph);
  fill_.begin(graph);
}

Status ExpertStep::visit(int i, TensorId tensor) {
  ggml_tensor* node = graph_->nodes[i];
  const PooledTensor pooled = residency_.experts(tensor);
  if (node->src[2] != routing_.ids) {
    prefetch_.read_ahead();
    if (Status status = runner_.flush(i); !status.ok()) return status;
    if (Status status = read_routing(i, node->src[2], static_cast<uint32_t>(node->src[0]->ne[2]));
        !status.ok()) {
      return status;
    }
    request_siblings(i);
    prefetch_.on_routing(i, routing_.experts, node->src[2]->ne[1]);
    fill_.on_routing(i, routing_.experts);
  } else if (i > routing_.counted_until) {
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
    leased = lease_all(pooled);
  }
  if (!leased || !all_ready(pooled)) return compute_in_groups(i, pooled);
  patch_pool(node, pooled);
  return Status();
}

void ExpertStep::release() { leases_.clear(); }

void ExpertStep::release_all() {
  prefetch_.forget();
  leases_.clear();
  ahead_.clear();
  group_.clear();
}

Status ExpertStep::read_routing(int i, const ggml_tensor* ids, uint32_t expert_count) {
  ahead_.clear();
  routing_.ids = ids;
  routing_.counted_until = i - 1;
  routing_.experts.clear();
  routing_.first_row.assign(expert_count + 1, 0);
  slot_of_.assign(expert_count, -1);
  for (int64_t token = 0; token < ids->ne[1]; ++token) {
    for (int64_t choice = 0; choice < ids->ne[0]; ++choice) {
      const int32_t expert = id_at(ids, choice, token);
      if (Status status = check_expert(expert, expert_count); !status.ok()) {
        routing_.ids = nullptr;
        return status;
      }
      if (routing_.first_row[static_cast<size_t>(expert)]++ == 0) {
        routing_.experts.push_back(expert);
      }
    }
  }
  sort_rows(ids);
  return Status();
}

// From how many rows each expert has to where they are.
void ExpertStep::sort_rows(const ggml_tensor* ids) {
  std::vector<uint32_t>& first_row = routing_.first_row;
  std::partial_sum(first_row.begin(), first_row.end(), first_row.begin());
  routing_.rows.resize(first_row.back());
  // Backwards, so that each end becomes a beginning.
  for (int64_t token = ids->ne[1] - 1; token >= 0; --token) {
    for (int64_t choice = ids->ne[0] - 1; choice >= 0; --choice) {
      const size_t expert = static_cast<size_t>(id_at(ids, choice, token));
      routing_.rows[--first_row[expert]] = {.token = static_cast<int32_t>(token),
                                            .choice = static_cast<int32_t>(choice)};
    }
  }
}

// Asks for the routed experts of this and the following projections in the order of use, as far as
// there are slots, so that the drive has them all at once.
void ExpertStep::request_siblings(int i) {
  const int end = std::min(graph_->n_nodes, i + kSiblingNodes);
  for (int k = i; k < end; ++k) {
    const ggml_tensor* node = graph_->nodes[k];
    if (node->op != GGML_OP_MUL_MAT_ID || node->src[2] != routing_.ids) continue;
    const Weight* weight = weight_of(node->src[0]);
    if (weight == nullptr || residency_.home(weight->id) != Home::experts) continue;
    const PooledTensor pooled = residency_.experts(weight->id);
    count_uses(pooled);
    routing_.counted_until = k;
    // Read in turns, when they are: what comes behind must not come in front of them.
    if (routing_.experts.size() > pooled.pool->slots()) break;
    // Those that are there first, before reads for the others take their slots.
    for (const bool ready : {true, false}) {
      for (const int32_t expert : routing_.experts) {
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
  for (const int32_t expert : routing_.experts) {
    pooled.pool->count_use(pooled.source, static_cast<uint32_t>(expert));
  }
}

bool ExpertStep::all_ready(const PooledTensor& pooled) const {
  return std::all_of(routing_.experts.begin(), routing_.experts.end(), [&](int32_t expert) {
    return pooled.pool->is_ready(pooled.source, static_cast<uint32_t>(expert));
  });
}

bool ExpertStep::lease_all(const PooledTensor& pooled) {
  if (routing_.experts.size() > pooled.pool->slots()) return false;
  const size_t held = leases_.size();
  for (const int32_t expert : routing_.experts) {
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

// REQUIRES: nothing is pending. The only leases are those of the routed experts, or there are none,
// as they are more than slots.
Status ExpertStep::compute_in_groups(int i, const PooledTensor& pooled) {
  ggml_tensor* node = graph_->nodes[i];
  HYPURA_CHECK(runner_.next() == i);
  waiting_ = routing_.experts;
  if (leases_.empty()) sort_for_turns(pooled);
  while (!waiting_.empty()) {
    const bool was_idle = residency_.reader().idle();
    request_waiting(pooled);
    if (leases_.size() == waiting_.size()) {
      prefetch_.read_ahead();
      fill_.read_ahead();
    }
    if (Status status = take_group(node, pooled); !status.ok()) return status;
    if (group_.experts.empty()) {
      // Reads that kept these from being requested may have ended just now.
      if (!residency_.reader().idle()) {
        residency_.reader().wait_one();
      } else {
        HYPURA_CHECK(!was_idle);
      }
      continue;
    }
    if (Status status = compute_group(node, pooled); !status.ok()) return status;
    group_.clear();
  }
  runner_.skip(i);
  return Status();
}

// Experts that have a slot go first, before reads for the others evict them; the others in the
// order of the file.
void ExpertStep::sort_for_turns(const PooledTensor& pooled) {
  const auto rank = [&](int32_t expert) {
    const uint32_t index = static_cast<uint32_t>(expert);
    if (pooled.pool->is_ready(pooled.source, index)) return 0;
    return pooled.pool->holds(pooled.source, index) ? 1 : 2;
  };
  std::sort(waiting_.begin(), waiting_.end(), [&](int32_t a, int32_t b) {
    return std::pair(rank(a), a) < std::pair(rank(b), b);
  });
}

// Slots for those of the waiting experts that have none yet. One half of the slots may be read
// while the other half computes.
void ExpertStep::request_waiting(const PooledTensor& pooled) {
  const uint32_t loading_max = std::max(1U, pooled.pool->slots() / 2);
  while (leases_.size() < waiting_.size() && pooled.pool->loading() < loading_max &&
         pooled.pool->takes_load()) {
    std::optional<Lease> lease = pooled.pool->request(
        pooled.source, static_cast<uint32_t>(waiting_[leases_.size()]), ReadClass::demand);
    if (!lease) break;
    leases_.push_back(*std::move(lease));
  }
  residency_.reader().pump();
}

// Moves waiting experts that are there to the group, until it has enough to compute.
Status ExpertStep::take_group(const ggml_tensor* node, const PooledTensor& pooled) {
  const int64_t rows_max = group_rows_max(node);
  const uint64_t slice_bytes = node->src[0]->nb[2];
  const bool hungry = leases_.size() < waiting_.size() && residency_.reader().idle();
  const uint64_t work_max = hungry ? kHungryGroupWork : kGroupWork;
  int64_t rows = 0;
  size_t kept = 0;
  for (size_t k = 0; k < waiting_.size(); ++k) {
    const int32_t expert = waiting_[k];
    const bool leased = k < leases_.size();
    const int64_t all_rows = rows + static_cast<int64_t>(routing_.rows_of(expert).size());
    const bool fits = rows == 0 || (all_rows <= rows_max &&
                                    static_cast<uint64_t>(all_rows) * slice_bytes <= work_max);
    if (leased && fits && pooled.pool->ready(leases_[k])) {
      rows = all_rows;
      group_.add(expert, std::move(leases_[k]));
      continue;
    }
    if (leased && pooled.pool->failed(leases_[k])) return pooled.pool->wait(leases_[k]);
    if (kept < k) {
      waiting_[kept] = expert;
      if (leased) leases_[kept] = std::move(leases_[k]);
    }
    ++kept;
  }
  waiting_.resize(kept);
  leases_.resize(leases_.size() - group_.leases.size());
  return Status();
}

// Computes the rows of the group's experts as one MUL_MAT_ID of single-row tokens, gathered from
// the node's input and scattered to its output.
Status ExpertStep::compute_group(ggml_tensor* node, const PooledTensor& pooled) {
  const ggml_tensor* input = node->src[1];
  const ggml_tensor* ids = node->src[2];
  size_t row_count = 0;
  for (const int32_t expert : group_.experts) row_count += routing_.rows_of(expert).size();
  const int64_t rows = static_cast<int64_t>(row_count);
  const size_t input_row_bytes = ggml_row_size(input->type, input->ne[0]);
  gathered_.resize(std::max(gathered_.size(), row_count * input_row_bytes));
  results_.resize(std::max(results_.size(), row_count * static_cast<size_t>(node->ne[0])));
  int32_t* slots = runner_.indices(row_count);

  std::byte* gathered = gathered_.data();
  int32_t* slot = slots;
  for (size_t k = 0; k < group_.experts.size(); ++k) {
    for (const Row row : routing_.rows_of(group_.experts[k])) {
      std::memcpy(gathered,
                  static_cast<const std::byte*>(input->data) +
                      static_cast<size_t>(row.choice % input->ne[1]) * input->nb[1] +
                      static_cast<size_t>(row.token) * input->nb[2],
                  input_row_bytes);
      gathered += input_row_bytes;
      *slot++ = static_cast<int32_t>(group_.leases[k].slot().value);
    }
  }

  ggml_tensor* weight_shadow = runner_.shadow(node->src[0]);
  point_to_pool(weight_shadow, pooled);
  ggml_tensor* input_shadow = runner_.shadow(input);
  input_shadow->data = gathered_.data();
  set_contiguous(input_shadow, input->ne[0], 1, rows);
  ggml_tensor* ids_shadow = runner_.shadow(ids);
  ids_shadow->data = slots;
  set_contiguous(ids_shadow, 1, rows, 1);
  ggml_tensor* output = runner_.shadow(node);
  output->data = results_.data();
  set_contiguous(output, node->ne[0], 1, rows);
  output->src[0] = weight_shadow;
  output->src[1] = input_shadow;
  output->src[2] = ids_shadow;
  if (Status status = runner_.run_one(output); !status.ok()) return status;

  const size_t output_row_bytes = static_cast<size_t>(node->ne[0]) * sizeof(float);
  const float* result = results_.data();
  for (const int32_t expert : group_.experts) {
    for (const Row row : routing_.rows_of(expert)) {
      std::memcpy(static_cast<std::byte*>(node->data) +
                      static_cast<size_t>(row.choice) * node->nb[1] +
                      static_cast<size_t>(row.token) * node->nb[2],
                  result, output_row_bytes);
      result += node->ne[0];
    }
  }
  return Status();
}

}  // namespace hypura
