#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

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
  HostExperts(const ModelIndex& index, Residency& residency)
      : index_(index), residency_(residency) {}

  // Counts a use of each in the caches of RAM, and asks the drive for those that are not there, as
  // far as there are slots. To be called once for everything that fetch() will bring soon.
  void want(std::span<const ExpertSlice> wanted);

  // `count` experts that follow each other, from wanted[first] on, are at `data`.
  using Take = std::function<void(size_t first, size_t count, const std::byte* data)>;

  // Hands all of `wanted` to `take`, each once, as they are there; the bytes stay until release().
  // Where RAM has fewer slots than are wanted, `settle` is called, which waits until nothing that
  // was taken so far is read any more, or gives up on it.
  // Experts of a tensor should be in order: then the drive and the bus see long runs.
  Status fetch(std::span<const ExpertSlice> wanted, const Take& take,
               const std::function<void()>& settle);

  bool holds() const { return !held_.empty(); }
  // REQUIRES: nothing that was taken is read any more.
  void release() { held_.clear(); }
  // What was wanted and not fetched is wanted no longer.
  void forget() { ahead_.clear(); }

 private:
  struct Waiting {
    size_t wanted;
    PooledTensor pooled;
    Lease lease;
  };

  void take_pinned(std::span<const ExpertSlice> wanted, const Take& take);
  void take_ready(std::span<const ExpertSlice> wanted, const Take& take);
  Status take_arrived(const Take& take, bool* some);

  const ModelIndex& index_;
  Residency& residency_;
  std::vector<size_t> missing_;   // in the order of requests
  std::vector<Waiting> waiting_;  // requested
  std::vector<Lease> held_;       // taken
  std::vector<Lease> ahead_;      // wanted
};

}  // namespace hypura
