#include "backend/row_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace hypura {

Status RowStep::visit(ggml_cgraph* graph, int i, TensorId tensor) {
  if (Status status = runner_.flush(i); !status.ok()) return status;
  ggml_tensor* node = graph->nodes[i];
  SlicePool& rows = *residency_.rows(tensor);
  const int64_t total = node->src[1]->ne[0];
  for (int64_t first = 0; first < total; first += rows.slots()) {
    const int64_t count = std::min<int64_t>(rows.slots(), total - first);
    const Status status = compute_part(node, rows, first, count);
    leases_.clear();
    if (!status.ok()) return status;
  }
  runner_.skip(i);
  return Status();
}

// Computes rows [first, first + count) of the node's output.
Status RowStep::compute_part(ggml_tensor* node, SlicePool& rows, int64_t first, int64_t count) {
  const ggml_tensor* ids = node->src[1];
  int32_t* slots = runner_.indices(static_cast<size_t>(count));
  for (int64_t k = 0; k < count; ++k) {
    int32_t row = 0;
    std::memcpy(&row, static_cast<const std::byte*>(ids->data) +
                          static_cast<size_t>(first + k) * ids->nb[0],
                sizeof row);
    if (row < 0 || row >= node->src[0]->ne[1]) {
      return Status(StatusCode::failed,
                    fmt::format("row {} of {} asked from {}", row, node->src[0]->ne[1],
                                node->src[0]->name));
    }
    rows.count_use(0, static_cast<uint32_t>(row));
    std::optional<Lease> lease =
        rows.request(0, static_cast<uint32_t>(row), ReadClass::demand);
    // Reads that a failed graph left behind may hold every slot.
    while (!lease && !residency_.reader().idle()) {
      residency_.reader().wait_one();
      lease = rows.request(0, static_cast<uint32_t>(row), ReadClass::demand);
    }
    HYPURA_CHECK(lease.has_value());
    slots[k] = static_cast<int32_t>(lease->slot().value);
    leases_.push_back(*std::move(lease));
  }
  residency_.reader().pump();
  for (const Lease& lease : leases_) {
    if (Status status = rows.wait(lease); !status.ok()) return status;
  }

  ggml_tensor* cache = runner_.shadow(node->src[0]);
  cache->data = rows.base(0);
  cache->ne[1] = rows.slots();
  cache->nb[1] = rows.stride();
  cache->nb[2] = cache->nb[1] * rows.slots();
  cache->nb[3] = cache->nb[2];
  ggml_tensor* part_ids = runner_.shadow(ids);
  part_ids->data = slots;
  part_ids->ne[0] = count;
  part_ids->nb[0] = sizeof(int32_t);
  const size_t ids_bytes = sizeof(int32_t) * static_cast<size_t>(count);
  part_ids->nb[1] = part_ids->nb[2] = part_ids->nb[3] = ids_bytes;
  ggml_tensor* output = runner_.shadow(node);
  output->data = static_cast<std::byte*>(node->data) + static_cast<size_t>(first) * node->nb[1];
  output->ne[1] = count;
  output->src[0] = cache;
  output->src[1] = part_ids;
  return runner_.run_one(output);
}

}  // namespace hypura
