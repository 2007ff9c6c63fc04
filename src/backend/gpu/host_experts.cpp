#include "backend/gpu/host_experts.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace hypura {

void HostExperts::want(std::span<const ExpertSlice> wanted) {
  ahead_.clear();
  for (const ExpertSlice& slice : wanted) {
    if (residency_.pinned(slice.tensor) != nullptr) continue;
    const PooledTensor pooled = residency_.experts(slice.tensor);
    pooled.pool->count_use(pooled.source, slice.expert);
  }
  // Those that are there first, before reads for the others take their slots.
  for (const bool ready : {true, false}) {
    for (const ExpertSlice& slice : wanted) {
      if (residency_.pinned(slice.tensor) != nullptr) continue;
      const PooledTensor pooled = residency_.experts(slice.tensor);
      if (pooled.pool->is_ready(pooled.source, slice.expert) != ready) continue;
      std::optional<Lease> lease =
          pooled.pool->request(pooled.source, slice.expert, ReadClass::demand);
      if (lease) ahead_.push_back(*std::move(lease));
    }
  }
  residency_.reader().pump();
}

Status HostExperts::fetch(std::span<const ExpertSlice> wanted, const Take& take,
                          const std::function<void()>& settle) {
  missing_.clear();
  take_pinned(wanted, take);
  take_ready(wanted, take);
  size_t requested = 0;
  while (requested < missing_.size() || !waiting_.empty()) {
    const bool was_idle = residency_.reader().idle();
    for (; requested < missing_.size(); ++requested) {
      const ExpertSlice& slice = wanted[missing_[requested]];
      const PooledTensor pooled = residency_.experts(slice.tensor);
      if (!pooled.pool->takes_load()) break;
      std::optional<Lease> lease =
          pooled.pool->request(pooled.source, slice.expert, ReadClass::demand);
      if (!lease) break;
      waiting_.push_back(
          {.wanted = missing_[requested], .pooled = pooled, .lease = *std::move(lease)});
    }
    residency_.reader().pump();
    bool some = false;
    if (Status status = take_arrived(take, &some); !status.ok()) {
      waiting_.clear();
      return status;
    }
    if (some) continue;
    if (!waiting_.empty()) {
      residency_.reader().wait_one();
    } else if (holds()) {
      settle();
      release();
    } else if (!ahead_.empty()) {
      ahead_.clear();
    } else if (!residency_.reader().idle()) {
      residency_.reader().wait_one();
    } else {
      // Reads ahead that had the slots have ended just now.
      HYPURA_CHECK(!was_idle);
    }
  }
  return Status();
}

void HostExperts::take_pinned(std::span<const ExpertSlice> wanted, const Take& take) {
  for (size_t k = 0; k < wanted.size();) {
    const ExpertSlice& first = wanted[k];
    const std::byte* data = residency_.pinned(first.tensor);
    size_t count = 1;
    if (data != nullptr) {
      while (k + count < wanted.size() && wanted[k + count].tensor == first.tensor &&
             wanted[k + count].expert == first.expert + count) {
        ++count;
      }
      take(k, count, data + first.expert * index_.tensor(first.tensor).expert_bytes());
    }
    k += count;
  }
}

// Before reads for the others take their slots.
void HostExperts::take_ready(std::span<const ExpertSlice> wanted, const Take& take) {
  for (size_t k = 0; k < wanted.size(); ++k) {
    const ExpertSlice& slice = wanted[k];
    if (residency_.pinned(slice.tensor) != nullptr) continue;
    const PooledTensor pooled = residency_.experts(slice.tensor);
    if (!pooled.pool->is_ready(pooled.source, slice.expert)) {
      missing_.push_back(k);
      continue;
    }
    std::optional<Lease> lease =
        pooled.pool->request(pooled.source, slice.expert, ReadClass::demand);
    HYPURA_CHECK(lease.has_value());
    take(k, 1, pooled.pool->base(pooled.source) + lease->slot().value * pooled.pool->stride());
    held_.push_back(*std::move(lease));
  }
}

Status HostExperts::take_arrived(const Take& take, bool* some) {
  size_t kept = 0;
  for (size_t k = 0; k < waiting_.size(); ++k) {
    Waiting& one = waiting_[k];
    SlicePool& pool = *one.pooled.pool;
    if (pool.failed(one.lease)) return pool.wait(one.lease);
    if (pool.ready(one.lease)) {
      take(one.wanted, 1,
           pool.base(one.pooled.source) + one.lease.slot().value * pool.stride());
      held_.push_back(std::move(one.lease));
      *some = true;
      continue;
    }
    if (kept < k) waiting_[kept] = std::move(one);
    ++kept;
  }
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(kept), waiting_.end());
  return Status();
}

}  // namespace hypura
