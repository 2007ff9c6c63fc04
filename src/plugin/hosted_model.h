#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/streamed_model.h"
#include "base/status.h"
#include "io/block_device.h"
#include "model/model_index.h"
#include "plan/budget.h"
#include "plan/mode.h"

namespace hypura {

// One model that a host program has mapped: index, drive and streamed weights, from the first
// mapped shard until the host frees the last. Placed in front of the first graph that is computed;
// by then the host's contexts have shown how they use the weights.
// Opened and mapped by one thread; what computes is serialised by StreamedModel.
class HostedModel {
 public:
  // `path`: any shard.
  static Result<std::unique_ptr<HostedModel>> open(const std::string& path,
                                                   const RamBudget& budget);
  // Prints the summary, if anything was computed.
  ~HostedModel();

  // Whether the file at `path` is a shard of this model that has not been mapped yet. From now on
  // it has, at `mapping`.
  bool claim(const std::string& path, const void* mapping);

  StreamedModel& streamed() { return *streamed_; }

 private:
  HostedModel(ModelIndex index, const RamBudget& budget);
  Status prepare(uint64_t buffer_bytes);
  Status refuse_locked() const;
  std::string summary() const;

  ModelIndex index_;
  RamBudget budget_;
  std::vector<const void*> mappings_;  // by shard; nullptr: not mapped
  uint64_t budget_bytes_ = 0;
  // In order of construction: later ones refer to earlier ones.
  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<StreamedModel> streamed_;
};

}  // namespace hypura
