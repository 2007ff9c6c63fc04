#include "backend/gpu/host_experts.h"

#include <utility>

#include "base/check.h"

namespace hypura {

void HostExperts::count_uses(std::span<const ExpertSlice> wanted) {
  for (const ExpertSlice& slice : wanted) {
    if (residency_.pinned(slice.tensor) != nullptr) continue;
    const PooledTensor pooled = residency_.experts(slice.tensor);
    pooled.pool->count_use(pooled.source, slice.expert);
  }
}

void HostExperts::want(std::span<const ExpertSlice> wanted) {
  ahead_.clear();
  count_uses(wanted);
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

Status HostExperts::fetch(std::span<const ExpertSlice> wanted, For what, const Take& take,
                          const std::function<void()>& settle) {
  size_t requested = 0;  // of missing_
  const auto request_missing = [&] {
    for (; requested < missing_.size(); ++requested) {
      if (!request(wanted, missing_[requested], what)) break;
    }
    residency_.reader().pump();
  };
  lease_held(wanted, what);
  request_missing();
  take_pinned(wanted, take);
  while (requested < missing_.size() || !waiting_.empty()) {
    const bool was_idle = residency_.reader().idle();
    request_missing();
    const bool all = requested == missing_.size();
    if (all && what == For::batch && fill_ != nullptr) fill_->read_ahead();
    bool some = false;
    if (Status status = take_arrived(take, &some); !status.ok()) {
      waiting_.clear();
      return status;
    }
    if (some) continue;
    // Slots of what was taken, before the drive has nothing to do.
    const bool early = what == For::batch && !all && residency_.reader().has_room();
    if (holds() && (early || waiting_.empty())) {
      settle();
      release();
    } else if (!waiting_.empty()) {
      residency_.reader().wait_one();
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

// What it may pass through; without a pool if there is nothing.
PooledTensor HostExperts::passing(const ExpertSlice& slice, For what) const {
  return what == For::batch ? residency_.transit(slice.tensor) : PooledTensor();
}

// Leases what is there or on its way, before reads for the others take its slots.
void HostExperts::lease_held(std::span<const ExpertSlice> wanted, For what) {
  missing_.clear();
  for (size_t k = 0; k < wanted.size(); ++k) {
    const ExpertSlice& slice = wanted[k];
    if (residency_.pinned(slice.tensor) != nullptr) continue;
    const auto holds = [&](const PooledTensor& from) {
      return from.pool != nullptr && from.pool->holds(from.source, slice.expert);
    };
    const PooledTensor pooled = residency_.experts(slice.tensor);
    const PooledTensor transit = passing(slice, what);
    if (holds(pooled)) {
      HYPURA_CHECK(lease_from(pooled, wanted, k, what));
    } else if (holds(transit)) {
      HYPURA_CHECK(lease_from(transit, wanted, k, what));
    } else {
      missing_.push_back(k);
    }
  }
  if (what == For::token || fill_ == nullptr) return;
  for (size_t k = 0; k < wanted.size(); ++k) {
    if (k == 0 || wanted[k].tensor != wanted[k - 1].tensor) fill_->hand_over(wanted[k].tensor);
  }
}

// Asks the drive for wanted[k]. False while no slot can be had.
bool HostExperts::request(std::span<const ExpertSlice> wanted, size_t k, For what) {
  const auto load = [&](const PooledTensor& to) {
    return to.pool != nullptr && to.pool->takes_load() && lease_from(to, wanted, k, what);
  };
  return load(residency_.experts(wanted[k].tensor)) || load(passing(wanted[k], what));
}

bool HostExperts::lease_from(const PooledTensor& from, std::span<const ExpertSlice> wanted,
                             size_t k, For what) {
  const ReadClass read_class = what == For::batch ? ReadClass::prefetch : ReadClass::demand;
  std::optional<Lease> lease = from.pool->request(from.source, wanted[k].expert, read_class);
  if (!lease) return false;
  waiting_.push_back({.wanted = k, .from = from, .lease = *std::move(lease)});
  return true;
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

Status HostExperts::take_arrived(const Take& take, bool* some) {
  size_t kept = 0;
  for (size_t k = 0; k < waiting_.size(); ++k) {
    Waiting& one = waiting_[k];
    SlicePool& pool = *one.from.pool;
    if (pool.failed(one.lease)) return pool.wait(one.lease);
    if (pool.ready(one.lease)) {
      take(one.wanted, 1,
           pool.base(one.from.source) + one.lease.slot().value * pool.stride());
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
