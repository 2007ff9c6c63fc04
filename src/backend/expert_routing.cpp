#include "backend/expert_routing.h"

#include <numeric>

#include "backend/routing_ids.h"

namespace hypura {

Status ExpertRouting::read(const ggml_tensor* ids, uint32_t expert_count) {
  ids_ = nullptr;
  experts_.clear();
  first_row_.assign(expert_count + 1, 0);
  for (int64_t token = 0; token < ids->ne[1]; ++token) {
    for (int64_t choice = 0; choice < ids->ne[0]; ++choice) {
      const int32_t expert = id_at(ids, choice, token);
      if (Status status = check_expert(expert, expert_count); !status.ok()) return status;
      if (first_row_[static_cast<size_t>(expert)]++ == 0) experts_.push_back(expert);
    }
  }
  ids_ = ids;
  sort_rows();
  return Status();
}

// From how many rows each expert has to where they are.
void ExpertRouting::sort_rows() {
  std::partial_sum(first_row_.begin(), first_row_.end(), first_row_.begin());
  rows_.resize(first_row_.back());
  // Backwards, so that each end becomes a beginning.
  for (int64_t token = ids_->ne[1] - 1; token >= 0; --token) {
    for (int64_t choice = ids_->ne[0] - 1; choice >= 0; --choice) {
      const size_t expert = static_cast<size_t>(id_at(ids_, choice, token));
      rows_[--first_row_[expert]] = {.token = static_cast<int32_t>(token),
                                     .choice = static_cast<int32_t>(choice)};
    }
  }
}

}  // namespace hypura
