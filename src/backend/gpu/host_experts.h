#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "backend/expert_fill.h"
#include "base/ids.h"
#include "base/status.h"
#include "cache/slot_table.h"
#include "model/model_index.h"
#include "residency/residency.h"

namespace hypura {

struct ExpertSlice {
  TensorId tensor;
  uint32_t expert = 0;
};

// Brings experts' slices into RAM, for somebody who copies them elsewhere.
class HostExperts {
 public:
  // `fill` reads ahead of what batches fetch; nullptr: nobody does. It outlives this.
  HostExperts(const ModelIndex& index, Residency& residency, ExpertFill* fill)
      : index_(index), residency_(residency), fill_(fill) {}

  // Counts a use of each in the caches of RAM. To be called once for everything that fetch() will
  // bring soon.
  void count_uses(std::span<const ExpertSlice> wanted);
  // The same, and asks the drive for those that are not there, as far as there are slots.
  void want(std::span<const ExpertSlice> wanted);

  // `count` experts that follow each other, from wanted[first] on, are at `data`.
  using Take = std::function<void(size_t first, size_t count, const std::byte* data)>;

  // What they are brought for: a batch needs all of them soon, so that they are read as deep as the
  // drive takes, and may pass through slots beside the pools.
  enum class For : uint8_t { token, batch };

  // Hands all of `wanted` to `take`, each once, as they are there; the bytes stay until release().
  // Where RAM has fewer slots than are wanted, `settle` is called, which waits until nothing that
  // was taken so far is read any more, or gives up on it.
  // Experts of a tensor should be in order: then the drive and the bus see long runs.
  Status fetch(std::span<const ExpertSlice> wanted, For what, const Take& take,
               const std::function<void()>& settle);

  bool holds() const { return !held_.empty(); }
  // REQUIRES: nothing that was taken is read any more.
  void release() { held_.clear(); }
  // What was wanted and not taken is wanted no longer.
  void forget() {
    ahead_.clear();
    waiting_.clear();
  }

 private:
  struct Waiting {
    size_t wanted;
    PooledTensor from;
    Lease lease;
  };

  PooledTensor passing(const ExpertSlice& slice, For what) const;
  void lease_held(std::span<const ExpertSlice> wanted, For what);
  bool request(std::span<const ExpertSlice> wanted, size_t k, For what);
  bool lease_from(const PooledTensor& from, std::span<const ExpertSlice> wanted, size_t k,
                  For what);
  void take_pinned(std::span<const ExpertSlice> wanted, const Take& take);
  Status take_arrived(const Take& take, bool* some);

  const ModelIndex& index_;
  Residency& residency_;
  ExpertFill* fill_;
  std::vector<size_t> missing_;   // in the order of requests
  std::vector<Waiting> waiting_;  // there or requested, and not taken
  std::vector<Lease> held_;       // taken
  std::vector<Lease> ahead_;      // wanted
};

}  // namespace hypura
