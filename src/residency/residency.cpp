#include "residency/residency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/units.h"
#include "model/pinned_runs.h"

namespace hypura {
namespace {

constexpr uint64_t kInspectChunkBytes = kMiB;

// Pinned weights are read in parts, a few at a time, so that a cancel does not wait for gigabytes.
constexpr uint64_t kLoadPartBytes = 32 * kMiB;
constexpr size_t kLoadPartsMax = 4;

// Counts down the parts that are still on their way.
class PartSink final : public LoadSink {
 public:
  void on_loaded(uint32_t, const Status& status) override {
    --outstanding;
    if (!status.ok()) error = status;
  }
  size_t outstanding = 0;
  Status error;
};

FileRange range_of(const TensorInfo& tensor) {
  return {.shard = tensor.shard, .offset = tensor.offset, .bytes = tensor.bytes};
}

uint64_t row_bytes(const TensorInfo& tensor) {
  return tensor.bytes / static_cast<uint64_t>(tensor.elements() / tensor.ne[0]);
}

}  // namespace

Result<std::unique_ptr<Residency>> Residency::create(const ModelIndex& index, Layout layout,
                                                     BlockDevice& device) {
  Result<Reader> reader = Reader::open(index, device, {.chunk_bytes = kReadChunkBytes});
  if (!reader.ok()) return reader.status();
  std::unique_ptr<Residency> residency(
      new Residency(index, std::move(layout), *std::move(reader)));
  if (Status status = residency->build(); !status.ok()) return status;
  return residency;
}

Residency::Residency(const ModelIndex& index, Layout layout, Reader reader)
    : index_(index),
      layout_(std::move(layout)),
      reader_(std::move(reader)),
      pinned_(index.tensors().size()),
      first_piece_(index.tensors().size()),
      experts_(index.tensors().size()),
      passing_(index.tensors().size()),
      row_pools_(index.tensors().size()) {}

Status Residency::build() {
  HYPURA_CHECK(layout_.homes.size() == index_.tensors().size());
  if (Status status = build_pools(); !status.ok()) return status;
  if (Status status = build_rows(); !status.ok()) return status;
  if (Status status = build_ring(); !status.ok()) return status;
  if (Status status = build_pinned(); !status.ok()) return status;
  // In the order of the first reads into it, which go on behind.
  prefaulter_ = std::make_unique<Prefaulter>(memory());
  return Status();
}

std::vector<std::span<std::byte>> Residency::memory() const {
  std::vector<std::span<std::byte>> memory = fixed_memory();
  memory.push_back(pinned_memory_.memory());
  for (const auto& pool : pools_) memory.push_back(pool->memory());
  for (const auto& pool : row_pools_) {
    if (pool != nullptr) memory.push_back(pool->memory());
  }
  return memory;
}

std::vector<std::span<std::byte>> Residency::fixed_memory() const {
  std::vector<std::span<std::byte>> memory;
  if (ring_ != nullptr) memory.push_back(ring_->memory());
  for (const auto& pool : transits_) memory.push_back(pool->memory());
  return memory;
}

Status Residency::build_pools() {
  for (const PoolLayout& pool : layout_.pools) {
    if (Status status = build_pool(pool, Eviction::use_rate, pools_, experts_); !status.ok()) {
      return status;
    }
  }
  for (const PoolLayout& pool : layout_.transits) {
    if (Status status = build_pool(pool, Eviction::lru, transits_, passing_); !status.ok()) {
      return status;
    }
  }
  return Status();
}

Status Residency::build_pool(const PoolLayout& pool, Eviction eviction,
                             std::vector<std::unique_ptr<SlicePool>>& pools,
                             std::vector<PooledTensor>& places) {
  SlicePoolOptions options{
      .slice_bytes = pool.slice_bytes,
      .slots = pool.slots,
      .packed = pool.packed,
      .staging_slots = std::min(pool.slots, kStagingSlotsMax),
      .eviction = eviction,
  };
  for (const TensorId id : pool.tensors) {
    const TensorInfo& tensor = index_.tensor(id);
    options.sources.push_back({.shard = tensor.shard,
                               .offset = tensor.offset,
                               .count = tensor.expert_count,
                               .slice_bytes = tensor.expert_bytes()});
  }
  Result<std::unique_ptr<SlicePool>> created = SlicePool::create(reader_, options);
  if (!created.ok()) return created.status();
  for (uint32_t source = 0; source < pool.tensors.size(); ++source) {
    places[pool.tensors[source].value] = {.pool = created->get(), .source = source};
  }
  pools.push_back(*std::move(created));
  return Status();
}

Status Residency::build_rows() {
  for (uint32_t i = 0; i < layout_.homes.size(); ++i) {
    const uint32_t slots = layout_.homes[i].row_slots;
    if (slots == 0) continue;
    const TensorInfo& tensor = index_.tensor(TensorId{i});
    const SlicePoolOptions options{
        .slice_bytes = row_bytes(tensor),
        .slots = slots,
        .packed = true,
        .staging_slots = std::min(slots, kStagingSlotsMax),
        .sources = {{.shard = tensor.shard,
                     .offset = tensor.offset,
                     .count = static_cast<uint32_t>(tensor.ne[1])}},
    };
    Result<std::unique_ptr<SlicePool>> created = SlicePool::create(reader_, options);
    if (!created.ok()) return created.status();
    row_pools_[i] = *std::move(created);
  }
  return Status();
}

// Dense weights that stream, or (loose) those that are pinned and could, block by block in file
// order: the first prediction of the order of use.
std::vector<TensorId> Residency::by_use(bool loose) const {
  std::vector<TensorId> found;
  for (uint32_t i = 0; i < layout_.homes.size(); ++i) {
    const TensorHome& home = layout_.homes[i];
    const bool is_loose = home.home == Home::pinned && home.piece_rows > 0;
    if (loose ? is_loose : home.home == Home::stream) found.push_back(TensorId{i});
  }
  std::sort(found.begin(), found.end(), [&](TensorId a, TensorId b) { return used_before(a, b); });
  return found;
}

bool Residency::used_before(TensorId a, TensorId b) const {
  const auto order = [&](TensorId id) {
    const TensorInfo& tensor = index_.tensor(id);
    return std::tuple(tensor.layer < 0 ? INT32_MAX : tensor.layer, tensor.shard, tensor.offset);
  };
  return order(a) < order(b);
}

Status Residency::build_ring() {
  const std::vector<TensorId> streamed = by_use(false);
  if (streamed.empty()) return Status();
  std::vector<FileRange> pieces;
  const auto add_pieces = [&](TensorId id) {
    const TensorInfo& tensor = index_.tensor(id);
    first_piece_[id.value] = static_cast<uint32_t>(pieces.size());
    for (uint32_t number = 0; number < piece_count(id); ++number) {
      const Piece piece = this->piece(id, number);
      pieces.push_back({.shard = tensor.shard,
                        .offset = tensor.offset +
                                  static_cast<uint64_t>(piece.first_row) * row_bytes(tensor),
                        .bytes = static_cast<uint64_t>(piece.rows) * row_bytes(tensor)});
    }
  };
  for (const TensorId id : streamed) add_pieces(id);
  const size_t predicted = pieces.size();
  for (const TensorId id : by_use(true)) add_pieces(id);
  const uint32_t spare = static_cast<uint32_t>(pieces.size() - predicted);
  Result<std::unique_ptr<DenseRing>> ring = DenseRing::create(
      reader_, std::move(pieces), layout_.ring_slots, layout_.ring_slot_bytes, spare);
  if (!ring.ok()) return ring.status();
  ring_ = *std::move(ring);
  return Status();
}

Status Residency::build_pinned() {
  uint64_t memory_bytes = 0;
  for (const PinnedRun& run : pinned_runs(index_, layout_.homes)) {
    memory_bytes += widened_bytes(run.bytes);
  }
  Result<Arena> memory = Arena::create(memory_bytes, Present::later);
  if (!memory.ok()) return memory.status();
  pinned_memory_ = *std::move(memory);
  return Status();
}

Status Residency::load_pinned(const std::function<bool(uint64_t, uint64_t)>& progress) {
  const std::vector<PinnedRun> runs = pinned_runs(index_, layout_.homes);
  uint64_t total_bytes = 0;
  for (const PinnedRun& run : runs) total_bytes += run.bytes;

  PartSink sink;
  const uint32_t sink_id = reader_.add_sink(sink);
  bool cancelled = false;
  const auto wait_until = [&](size_t outstanding_max) {
    while (sink.outstanding > outstanding_max) {
      reader_.wait_one();
      const uint64_t done_bytes = std::min(reader_.stats().bytes_delivered, total_bytes);
      if (progress && !progress(done_bytes, total_bytes)) cancelled = true;
    }
    return sink.error.ok() && !cancelled;
  };

  std::byte* buffer = pinned_memory_.data();
  uint32_t part = 0;
  bool going = true;
  for (const PinnedRun& run : runs) {
    const uint64_t lead = reader_.lead({.shard = run.shard, .offset = run.offset});
    for (const TensorId id : run.tensors) {
      pinned_[id.value] = buffer + lead + (index_.tensor(id).offset - run.offset);
    }
    // Parts begin at whole blocks, so each lands behind the one before it.
    const uint64_t end = run.offset + run.bytes;
    const uint64_t first_block = round_down(run.offset, kBlockBytes);
    for (uint64_t begin = run.offset; begin < end && going;) {
      const uint64_t part_end = std::min(end, round_down(begin, kLoadPartBytes) + kLoadPartBytes);
      ++sink.outstanding;
      reader_.submit(sink_id, part++,
                     {.shard = run.shard, .offset = begin, .bytes = part_end - begin},
                     buffer + (round_down(begin, kBlockBytes) - first_block), ReadClass::demand);
      begin = part_end;
      going = wait_until(kLoadPartsMax - 1);
    }
    buffer += widened_bytes(run.bytes);
  }
  wait_until(0);
  reader_.remove_last_sink();
  pinned_bytes_read_ = reader_.stats().bytes_delivered;
  if (!sink.error.ok()) return sink.error;
  if (cancelled) return Status(StatusCode::interrupted, "interrupted while reading the model");
  find_loose_weights();
  return Status();
}

// Routers are small, and guesses need them.
void Residency::find_loose_weights() {
  if (ring_ == nullptr) return;
  std::vector<DenseWeight> weights;
  const auto add = [&](TensorId id, bool streamed, std::span<std::byte> pages) {
    weights.push_back({.id = id,
                       .first_piece = first_piece_[id.value],
                       .pieces = piece_count(id),
                       .streamed = streamed,
                       .data = pinned_[id.value],
                       .range = range_of(index_.tensor(id)),
                       .pages = pages});
  };
  for (const TensorId id : by_use(true)) {
    const std::span<std::byte> pages = pinned_memory_.whole_pages(
        {pinned_[id.value], static_cast<size_t>(index_.tensor(id).bytes)});
    if (!pages.empty() && index_.tensor(id).role != TensorRole::router) add(id, false, pages);
  }
  if (weights.empty()) return;
  for (const TensorId id : by_use(false)) add(id, true, {});
  std::sort(weights.begin(), weights.end(), [&](const DenseWeight& a, const DenseWeight& b) {
    return used_before(a.id, b.id);
  });
  loose_ = std::make_unique<LooseWeights>(reader_, *ring_, std::move(weights));
}

uint32_t Residency::piece_count(TensorId tensor) const {
  const int64_t piece_rows = layout_.homes[tensor.value].piece_rows;
  return static_cast<uint32_t>((index_.tensor(tensor).ne[1] + piece_rows - 1) / piece_rows);
}

Residency::Piece Residency::piece(TensorId tensor, uint32_t number) const {
  const int64_t piece_rows = layout_.homes[tensor.value].piece_rows;
  const int64_t first_row = number * piece_rows;
  return {.index = first_piece_[tensor.value] + number,
          .first_row = first_row,
          .rows = std::min(piece_rows, index_.tensor(tensor).ne[1] - first_row)};
}

Result<std::byte*> Residency::load_whole(TensorId tensor) {
  const TensorInfo& info = index_.tensor(tensor);
  const FileRange range = range_of(info);
  std::byte* memory = ring_ == nullptr ? nullptr : ring_->borrow_memory(widened_bytes(info.bytes));
  if (memory == nullptr) {
    return Status(StatusCode::does_not_fit,
                  fmt::format("tensor {} is needed in one piece: {}", info.name,
                              format_bytes(info.bytes)))
        .because(fmt::format("the buffer for streamed weights has {}",
                             format_bytes(layout_.ring_bytes)))
        .suggest("a larger RAM budget");
  }
  if (Status status = reader_.read_now(range, memory); !status.ok()) return status;
  return memory + reader_.lead(range);
}

// What one token routes to: with less, a slot would be overwritten before it is used again.
uint32_t Residency::least_slots(const SlicePool& pool) const {
  const uint64_t used = std::max<uint64_t>(1, index_.info().expert_used_count);
  return static_cast<uint32_t>(std::min<uint64_t>(used, pool.slots_max()));
}

CacheBytes Residency::cache_bytes() const {
  CacheBytes bytes;
  for (const auto& pool : pools_) {
    bytes.least += pool->paged_bytes(least_slots(*pool));
    bytes.now += pool->paged_bytes(pool->slots());
    bytes.most += pool->paged_bytes(pool->slots_max());
    bytes.step = std::max(bytes.step, pool->step_bytes());
  }
  if (loose_ == nullptr) return bytes;
  bytes.now += loose_->bytes_now();
  bytes.most += loose_->bytes_most();
  if (loose_->step_bytes() > 0) bytes.step = loose_->step_bytes();
  return bytes;
}

// Every token uses every dense weight, and few of the experts.
std::vector<TensorId> Residency::set_cache_bytes(uint64_t bytes) {
  std::vector<TensorId> moved;
  const CacheBytes cache = cache_bytes();
  const uint64_t dense_most = loose_ == nullptr ? 0 : loose_->bytes_most();
  const uint64_t pools_least = cache.least;
  const uint64_t pools_most = cache.most - dense_most;
  bytes = std::clamp(bytes, cache.least, cache.most);
  const uint64_t pools =
      std::clamp(saturating_subtract(bytes, dense_most), pools_least, pools_most);
  if (loose_ != nullptr) {
    loose_->resize(bytes - pools, moved);
    for (const DenseWeight& weight : loose_->weights()) {
      if (weight.data == nullptr) continue;
      pinned_[weight.id.value] = weight.streamed ? nullptr : weight.data;
      layout_.homes[weight.id.value].home = weight.streamed ? Home::stream : Home::pinned;
    }
  }
  set_pool_bytes(pools);
  return moved;
}

// What rounding to slots and pages leaves of a pool's share goes to the next pool.
void Residency::set_pool_bytes(uint64_t bytes) {
  uint64_t least = 0;
  uint64_t now = 0;
  uint64_t most = 0;
  for (const auto& pool : pools_) {
    least += pool->paged_bytes(least_slots(*pool));
    now += pool->paged_bytes(pool->slots());
    most += pool->paged_bytes(pool->slots_max());
  }
  if (now == bytes || least == most) return;
  // It would take pages of slots that are given up.
  prefaulter_.reset();
  const bool grows = bytes > now;
  const double share =
      static_cast<double>(bytes - least) / static_cast<double>(most - least);
  double wanted_bytes = 0;
  double given_bytes = 0;
  for (const auto& pool : pools_) {
    const double least_bytes = static_cast<double>(pool->paged_bytes(least_slots(*pool)));
    const double most_bytes = static_cast<double>(pool->paged_bytes(pool->slots_max()));
    wanted_bytes += least_bytes + share * (most_bytes - least_bytes);
    const double fair_bytes = std::max(0.0, wanted_bytes - given_bytes);
    const uint32_t fair_slots = pool->slots_in(static_cast<uint64_t>(fair_bytes));
    uint32_t slots = std::max(least_slots(*pool), fair_slots);
    slots = grows ? std::max(slots, pool->slots()) : std::min(slots, pool->slots());
    pool->set_slots(slots);
    given_bytes += static_cast<double>(pool->paged_bytes(slots));
  }
}

void Residency::give_back_ended() {
  for (const auto& pool : pools_) pool->give_back_ended();
}

Status Residency::read_bytes(TensorId tensor, uint64_t offset, std::byte* destination,
                             uint64_t bytes) {
  Result<Arena> scratch = Arena::create(widened_bytes(kInspectChunkBytes));
  if (!scratch.ok()) return scratch.status();
  const TensorInfo& info = index_.tensor(tensor);
  for (uint64_t done = 0; done < bytes;) {
    const FileRange range{.shard = info.shard,
                          .offset = info.offset + offset + done,
                          .bytes = std::min(kInspectChunkBytes, bytes - done)};
    if (Status status = reader_.read_now(range, scratch->data()); !status.ok()) return status;
    std::memcpy(destination + done, scratch->data() + reader_.lead(range), range.bytes);
    done += range.bytes;
  }
  return Status();
}

ResidencyStats Residency::stats() const {
  ResidencyStats stats{.bytes_read = reader_.stats().bytes_delivered,
                       .pinned_bytes_read = pinned_bytes_read_,
                       .stall_ns = reader_.stall_ns()};
  for (const auto& pool : pools_) {
    stats.expert_hits += pool->stats().hits;
    stats.expert_misses += pool->stats().misses;
  }
  if (ring_ != nullptr) {
    stats.dense_hits = ring_->stats().hits;
    stats.dense_misses = ring_->stats().misses;
  }
  return stats;
}

}  // namespace hypura
