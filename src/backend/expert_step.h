#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/expert_fill.h"
#include "backend/expert_prefetch.h"
#include "backend/node_runner.h"
#include "backend/weight.h"
#include "cache/slot_table.h"
#include "residency/residency.h"

namespace hypura {

// Scratch that computing `node` (a MUL_MAT_ID) in groups of experts may take, in bytes.
uint64_t expert_scratch_bytes(const ggml_tensor* node);

// Computes MUL_MAT_ID nodes whose experts live in a pool. The ids are computed by then, so the
// routed experts are known exactly; the projections that follow with the same ids are requested
// together. If all routed experts are there, the pool itself poses as the weight and the ids name
// slots. If not, the node is computed in groups of experts, those that are there while the others
// are read; also when there are more of them than slots. A group has all rows of an expert in one
// MUL_MAT_ID: some kernels choose their path by an expert's row count, so neither groups of tokens
// nor MUL_MAT would give the same bits.
class ExpertStep {
 public:
  ExpertStep(Residency& residency, NodeRunner& runner, ExpertPrefetch& prefetch);

  // Starts a graph.
  void begin(ggml_cgraph* graph);
  // Node `i` is patched and pending, or computed. REQUIRES: src[0] is the whole weight.
  Status visit(int i, TensorId tensor);
  // Starts and collects reads, also for experts of nodes to come.
  void read_ahead() { fill_.read_ahead(); }
  bool wants_reads() const { return fill_.wants_reads(); }
  // Ends the leases of the pending run.
  void release();
  // Ends all leases, also those taken ahead of use.
  void release_all();

 private:
  // Experts that are computed together.
  struct Group {
    std::vector<int32_t> experts;
    std::vector<Lease> leases;  // theirs
    void clear();
    void add(int32_t expert, Lease lease);
  };

  // A token's use of an expert, its `choice`th.
  struct Row {
    int32_t token;
    int32_t choice;
  };

  // The routing of one ids tensor, read once and used by every node that shares it.
  struct Routing {
    const ggml_tensor* ids = nullptr;
    std::vector<int32_t> experts;     // distinct, in order of first appearance
    std::vector<uint32_t> first_row;  // by expert, and the end of the last one's
    std::vector<Row> rows;            // expert by expert, in order of tokens
    int counted_until = -1;           // nodes up to here have their hits and misses counted

    std::span<const Row> rows_of(int32_t expert) const {
      const uint32_t* first = &first_row[static_cast<size_t>(expert)];
      return std::span(rows).subspan(first[0], first[1] - first[0]);
    }
  };

  Status read_routing(int i, const ggml_tensor* ids, uint32_t expert_count);
  void sort_rows(const ggml_tensor* ids);
  void request_siblings(int i);
  void count_uses(const PooledTensor& pooled);
  bool all_ready(const PooledTensor& pooled) const;
  bool lease_all(const PooledTensor& pooled);
  void patch_pool(ggml_tensor* node, const PooledTensor& pooled);
  Status compute_in_groups(int i, const PooledTensor& pooled);
  void sort_for_turns(const PooledTensor& pooled);
  void request_waiting(const PooledTensor& pooled);
  Status take_group(const ggml_tensor* node, const PooledTensor& pooled);
  Status compute_group(ggml_tensor* node, const PooledTensor& pooled);

  Residency& residency_;
  NodeRunner& runner_;
  ExpertPrefetch& prefetch_;
  ExpertFill fill_;
  ggml_cgraph* graph_ = nullptr;
  Routing routing_;
  std::vector<Lease> leases_;  // of the pending run
  std::vector<Lease> ahead_;   // of projections that follow
  std::vector<int32_t> waiting_;  // experts not computed yet; leases_ has those of the first ones
  Group group_;
  std::vector<int32_t> slot_of_;  // by expert, for the node at hand; -1 for others
  std::vector<std::byte> gathered_;
  std::vector<float> results_;
};

}  // namespace hypura
