#include "backend/repack.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backend/cpu_backend.h"
#include "base/check.h"
#include "base/units.h"
#include "ggml-alloc.h"
#include "ggml-backend-impl.h"
#include "ggml-impl.h"
#include "model/layout.h"
#include "residency/arena.h"

namespace hypura {
namespace {

constexpr size_t kProbeBytes = 64;

uint64_t aligned_bytes(ggml_backend_buffer_type_t type, const ggml_tensor* tensor) {
  return round_up(ggml_backend_buft_get_alloc_size(type, tensor),
                  ggml_backend_buft_get_alignment(type));
}

}  // namespace

Repack::Repack(size_t tensors, uint64_t (*work_bytes)(const ggml_cgraph*, int), int threads)
    : work_bytes_(work_bytes), threads_(threads), fits_(tensors) {
  const auto extra_types = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu_device()),
                                        "ggml_backend_dev_get_extra_bufts"));
  if (extra_types == nullptr) return;
  for (ggml_backend_buffer_type_t* type = extra_types(cpu_device()); *type != nullptr; ++type) {
    ggml_backend_buffer_ptr probe(ggml_backend_buft_alloc_buffer(*type, kProbeBytes));
    if (probe != nullptr) kinds_.push_back({.type = *type, .probe = std::move(probe)});
  }
}

void Repack::note(const ggml_tensor* node, int position, TensorId id, GraphDemand& demand) {
  Fit& fit = fits_[id.value];
  if (fit.state == Fit::State::out) return;
  const bool product =
      position == 0 && node->op == GGML_OP_MUL_MAT && node->src[0]->view_src == nullptr;
  const bool seen = fit.state == Fit::State::fits;
  fit.state = Fit::State::out;
  if (!product) return;
  const size_t first = seen ? fit.kind : 0;
  const size_t end = seen ? fit.kind + 1 : kinds_.size();
  for (size_t kind = first; kind < end; ++kind) {
    if (fits(node, kind, fit, demand)) return;
  }
}

// Asks with copies: the graph is llama.cpp's.
bool Repack::fits(const ggml_tensor* node, size_t kind, Fit& fit, GraphDemand& demand) const {
  ggml_tensor weight = *node->src[0];
  weight.buffer = kinds_[kind].probe.get();
  weight.extra = nullptr;
  ggml_tensor product = *node;
  product.src[0] = &weight;
  if (ggml_backend_buffer_init_tensor(weight.buffer, &weight) != GGML_STATUS_SUCCESS) return false;
  if (!ggml_backend_dev_supports_op(cpu_device(), &product)) return false;
  fit = {.state = Fit::State::fits,
         .kind = kind,
         .bytes = aligned_bytes(kinds_[kind].type, &weight)};
  if (work_bytes_ == nullptr) return true;
  ggml_tensor* nodes[] = {&product};
  ggml_cgraph single{};
  single.nodes = nodes;
  single.n_nodes = 1;
  demand.work_bytes = std::max(demand.work_bytes, work_bytes_(&single, threads_));
  return true;
}

uint64_t Repack::bytes(TensorId id) const {
  const Fit& fit = fits_[id.value];
  return fit.state == Fit::State::fits ? fit.bytes : 0;
}

Status Repack::allocate(std::span<const Moved> weights) {
  for (size_t kind = 0; kind < kinds_.size(); ++kind) {
    const auto is_of_kind = [&](const Moved& moved) { return fits_[moved.id.value].kind == kind; };
    const ggml_backend_buffer_type_t type = kinds_[kind].type;
    uint64_t bytes = 0;
    for (const Moved& moved : weights) {
      if (is_of_kind(moved)) bytes += fits_[moved.id.value].bytes;
    }
    if (bytes == 0) continue;
    // The first tensor starts at a multiple of the alignment, wherever the buffer does.
    bytes += ggml_backend_buft_get_alignment(type);
    ggml_backend_buffer_ptr buffer(ggml_backend_buft_alloc_buffer(type, bytes));
    if (buffer == nullptr) {
      return Status(StatusCode::failed,
                    fmt::format("cannot allocate {} to repack weights", format_bytes(bytes)))
          .suggest("a smaller --ram-budget, or no --fast-prompt");
    }
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    std::byte* base = static_cast<std::byte*>(ggml_backend_buffer_get_base(buffer.get()));
    prefer_huge_pages({base, bytes});
    ggml_tallocr allocator = ggml_tallocr_new(buffer.get());
    for (const Moved& moved : weights) {
      if (!is_of_kind(moved)) continue;
      moved.tensor->buffer = nullptr;
      moved.tensor->data = nullptr;
      moved.tensor->extra = nullptr;
      if (ggml_tallocr_alloc(&allocator, moved.tensor) == GGML_STATUS_SUCCESS) continue;
      return Status(StatusCode::failed, fmt::format("cannot repack {}", moved.tensor->name));
    }
    buffers_.push_back(std::move(buffer));
  }
  return Status();
}

Status Repack::move(const ModelIndex& index, std::span<const Moved> weights, Reader& reader,
                    const std::function<bool(uint64_t, uint64_t)>& progress) {
  HYPURA_CHECK(buffers_.empty());
  uint64_t total_bytes = 0;
  uint64_t largest_bytes = 0;
  for (const Moved& moved : weights) {
    const uint64_t bytes = index.tensor(moved.id).bytes;
    HYPURA_CHECK(fits_[moved.id.value].state == Fit::State::fits);
    total_bytes += bytes;
    largest_bytes = std::max(largest_bytes, bytes);
  }
  if (Status status = allocate(weights); !status.ok()) return status;
  Result<Arena> staging = Arena::create(widened_bytes(largest_bytes));
  if (!staging.ok()) return staging.status();

  uint64_t done_bytes = 0;
  for (const Moved& moved : weights) {
    const TensorInfo& tensor = index.tensor(moved.id);
    const FileRange range{.shard = tensor.shard, .offset = tensor.offset, .bytes = tensor.bytes};
    if (Status status = reader.read_now(range, staging->data()); !status.ok()) return status;
    // ggml repacks here, a whole tensor or nothing.
    ggml_backend_tensor_set(moved.tensor, staging->data() + reader.lead(range), 0, range.bytes);
    done_bytes += range.bytes;
    if (progress && !progress(done_bytes, total_bytes)) {
      return Status(StatusCode::interrupted, "interrupted while reading the model");
    }
  }
  return Status();
}

}  // namespace hypura
