#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "ggml.h"

namespace hypura {

// The routing of one ids tensor, read once and used by every node that shares it.
class ExpertRouting {
 public:
  // A token's use of an expert, its `choice`th.
  struct Row {
    int32_t token;
    int32_t choice;
  };

  // Error: failed, where an id is of no expert; the routing is then nobody's.
  Status read(const ggml_tensor* ids, uint32_t expert_count);
  void forget() { ids_ = nullptr; }
  bool is_of(const ggml_tensor* ids) const { return ids_ != nullptr && ids_ == ids; }

  const ggml_tensor* ids() const { return ids_; }
  // Distinct, in order of first appearance.
  const std::vector<int32_t>& experts() const { return experts_; }
  // In order of tokens.
  std::span<const Row> rows_of(int32_t expert) const {
    const uint32_t* first = &first_row_[static_cast<size_t>(expert)];
    return std::span(rows_).subspan(first[0], first[1] - first[0]);
  }

 private:
  void sort_rows();

  const ggml_tensor* ids_ = nullptr;
  std::vector<int32_t> experts_;
  std::vector<uint32_t> first_row_;  // by expert, and the end of the last one's
  std::vector<Row> rows_;            // expert by expert
};

}  // namespace hypura
