#include "backend/expert_groups.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "backend/pool_shadow.h"
#include "base/check.h"

namespace hypura {
namespace {

// Bytes of weights, times rows, that a group computes before anybody looks at the drive again:
// 0.8 ms at 20 GB/s, against 15 us that a group costs.
constexpr uint64_t kGroupWork = 16 << 20;

// Rows of one group at most: what one expert can get, as a router names it once per token.
int64_t group_rows_max(const ggml_tensor* node) { return node->src[2]->ne[1]; }

}  // namespace

uint64_t expert_scratch_bytes(const ggml_tensor* node) {
  const ggml_tensor* input = node->src[1];
  const uint64_t rows = static_cast<uint64_t>(group_rows_max(node));
  return rows * (ggml_row_size(input->type, input->ne[0]) + ggml_row_size(node->type, node->ne[0]) +
                 sizeof(int32_t));
}

void ExpertGroups::release() {
  waiting_.clear();
  group_.clear();
}

void ExpertGroups::Group::clear() {
  from = {};
  experts.clear();
  leases.clear();
}

void ExpertGroups::Group::add(Waiting waiting) {
  from = waiting.from;
  experts.push_back(waiting.expert);
  leases.push_back(std::move(waiting.lease));
}

Status ExpertGroups::compute(ggml_tensor* node, TensorId tensor, std::vector<Lease>& leases) {
  begin(tensor, leases);
  find_slots(tensor);
  fill_.hand_over(tensor);
  while (!waiting_.empty()) {
    const bool was_idle = residency_.reader().idle();
    find_slots(tensor);
    if (placed_ == waiting_.size()) {
      prefetch_.read_ahead();
      fill_.read_ahead();
    }
    // What passes through first: others wait for its slots.
    for (const bool transit : {true, false}) {
      if (!group_.experts.empty()) break;
      if (Status status = take_group(node, tensor, transit); !status.ok()) return status;
    }
    if (group_.experts.empty()) {
      // Reads that kept these from being requested may have ended just now.
      if (!residency_.reader().idle()) {
        residency_.reader().wait_one();
      } else {
        HYPURA_CHECK(!was_idle);
      }
      continue;
    }
    if (Status status = compute_group(node); !status.ok()) return status;
    group_.clear();
  }
  return Status();
}

// All experts of the node wait. Those that have a slot go first, before reads for the others evict
// them; the others in the order of the file.
void ExpertGroups::begin(TensorId tensor, std::vector<Lease>& leases) {
  const PooledTensor pooled = residency_.experts(tensor);
  const PooledTensor transit = residency_.transit(tensor);
  waiting_.clear();
  for (const int32_t expert : routing_.experts()) waiting_.push_back({.expert = expert});
  placed_ = leases.size();
  for (size_t k = 0; k < placed_; ++k) {
    waiting_[k].from = pooled;
    waiting_[k].lease = std::move(leases[k]);
  }
  leases.clear();
  if (placed_ > 0) return;
  const auto rank = [&](const Waiting& waiting) {
    const uint32_t expert = static_cast<uint32_t>(waiting.expert);
    if (pooled.pool->is_ready(pooled.source, expert)) return 0;
    if (pooled.pool->holds(pooled.source, expert)) return 1;
    return transit.pool != nullptr && transit.pool->holds(transit.source, expert) ? 1 : 2;
  };
  std::sort(waiting_.begin(), waiting_.end(), [&](const Waiting& a, const Waiting& b) {
    return std::pair(rank(a), a.expert) < std::pair(rank(b), b.expert);
  });
}

// Slots for those of the waiting experts that have none yet.
void ExpertGroups::find_slots(TensorId tensor) {
  while (placed_ < waiting_.size() && find_slot(waiting_[placed_], tensor)) ++placed_;
  residency_.reader().pump();
}

// In the pool, of whose slots one half may be read while the other half computes, or in transit.
// All of a batch are needed soon, so reads are as deep as the device takes them.
bool ExpertGroups::find_slot(Waiting& waiting, TensorId tensor) const {
  const uint32_t expert = static_cast<uint32_t>(waiting.expert);
  const PooledTensor pooled = residency_.experts(tensor);
  const PooledTensor transit = residency_.transit(tensor);
  const auto take = [&](const PooledTensor& from) {
    std::optional<Lease> lease = from.pool->request(from.source, expert, ReadClass::prefetch);
    if (!lease) return false;
    waiting.from = from;
    waiting.lease = *std::move(lease);
    return true;
  };
  const bool passes = transit.pool != nullptr;
  if (pooled.pool->holds(pooled.source, expert)) return take(pooled);
  if (passes && transit.pool->holds(transit.source, expert)) return take(transit);
  const uint32_t loading_max = std::max(1U, pooled.pool->slots() / 2);
  const bool loads = pooled.pool->loading() < loading_max && pooled.pool->takes_load();
  if (loads && take(pooled)) return true;
  return passes && transit.pool->takes_load() && take(transit);
}

// Moves waiting experts that are there to the group, until it has enough to compute.
Status ExpertGroups::take_group(const ggml_tensor* node, TensorId tensor, bool transit) {
  const PooledTensor passing = residency_.transit(tensor);
  const int64_t rows_max = group_rows_max(node);
  const uint64_t slice_bytes = node->src[0]->nb[2];
  int64_t rows = 0;
  size_t kept = 0;
  for (size_t k = 0; k < waiting_.size(); ++k) {
    Waiting& waiting = waiting_[k];
    const bool placed = k < placed_;
    if (placed && waiting.from.pool->failed(waiting.lease)) {
      return waiting.from.pool->wait(waiting.lease);
    }
    const int64_t all_rows = rows + static_cast<int64_t>(routing_.rows_of(waiting.expert).size());
    const bool fits = rows == 0 || (all_rows <= rows_max &&
                                    static_cast<uint64_t>(all_rows) * slice_bytes <= kGroupWork);
    if (placed && fits && (waiting.from.pool == passing.pool) == transit &&
        waiting.from.pool->ready(waiting.lease)) {
      rows = all_rows;
      group_.add(std::move(waiting));
      continue;
    }
    if (kept < k) waiting_[kept] = std::move(waiting);
    ++kept;
  }
  waiting_.resize(kept);
  placed_ -= group_.experts.size();
  return Status();
}

// Computes the rows of the group's experts as one MUL_MAT_ID of single-row tokens, gathered from
// the node's input and scattered to its output.
Status ExpertGroups::compute_group(ggml_tensor* node) {
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
    for (const ExpertRouting::Row row : routing_.rows_of(group_.experts[k])) {
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
  point_to_pool(weight_shadow, group_.from);
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
    for (const ExpertRouting::Row row : routing_.rows_of(expert)) {
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
