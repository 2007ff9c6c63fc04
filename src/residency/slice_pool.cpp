#include "residency/slice_pool.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/units.h"
#include "model/layout.h"

namespace hypura {
namespace {

uint32_t key_count(const std::vector<SliceSource>& sources) {
  uint32_t count = 0;
  for (const SliceSource& source : sources) count += source.count;
  return count;
}

uint64_t slice_bytes_of(const SliceSource& source, const SlicePoolOptions& options) {
  return source.slice_bytes > 0 ? source.slice_bytes : options.slice_bytes;
}

std::unique_ptr<EvictionPolicy> make_policy(const SlicePoolOptions& options) {
  switch (options.eviction) {
    case Eviction::lru: break;
    case Eviction::use_rate:
      return make_use_rate_policy(key_count(options.sources), options.slots);
  }
  return make_lru_policy(options.slots);
}

uint64_t stride_bytes(uint64_t slice_bytes, bool packed) {
  return packed ? slice_bytes : widened_bytes(slice_bytes);
}

}  // namespace

uint64_t SlicePool::memory_bytes(uint64_t slice_bytes, uint32_t slots, bool packed) {
  return round_up(stride_bytes(slice_bytes, packed) * slots, kBlockBytes);
}

uint64_t SlicePool::staging_bytes(uint64_t slice_bytes, uint32_t staging_slots) {
  return widened_bytes(slice_bytes) * staging_slots;
}

Result<std::unique_ptr<SlicePool>> SlicePool::create(Reader& reader,
                                                     const SlicePoolOptions& options) {
  HYPURA_CHECK(options.slots > 0);
  HYPURA_CHECK(!options.packed || options.staging_slots > 0);
  for (const SliceSource& source : options.sources) {
    const uint64_t bytes = slice_bytes_of(source, options);
    HYPURA_CHECK(options.packed ? bytes == options.slice_bytes
                                : bytes <= options.slice_bytes && bytes % kBlockBytes == 0);
  }
  Result<Arena> memory =
      Arena::create(memory_bytes(options.slice_bytes, options.slots, options.packed),
                    Present::later);
  if (!memory.ok()) return memory.status();
  Result<Arena> staging = Arena::create(
      options.packed ? staging_bytes(options.slice_bytes, options.staging_slots) : 0);
  if (!staging.ok()) return staging.status();
  return std::unique_ptr<SlicePool>(
      new SlicePool(reader, options, *std::move(memory), *std::move(staging)));
}

SlicePool::SlicePool(Reader& reader, const SlicePoolOptions& options, Arena memory, Arena staging)
    : reader_(reader),
      slice_bytes_(options.slice_bytes),
      stride_(stride_bytes(options.slice_bytes, options.packed)),
      packed_(options.packed),
      sources_(options.sources),
      table_(key_count(options.sources), options.slots, make_policy(options)),
      memory_(std::move(memory)),
      kept_bytes_(memory_.bytes()),
      staging_(std::move(staging)),
      staging_stride_(widened_bytes(options.slice_bytes)),
      staged_(options.packed ? options.slots : 0),
      sink_(reader.add_sink(*this)) {
  uint32_t key = 0;
  for (SliceSource& source : sources_) {
    source.slice_bytes = slice_bytes_of(source, options);
    first_key_.push_back(key);
    key += source.count;
  }
  if (packed_) {
    for (uint32_t i = 0; i < options.staging_slots; ++i) free_staging_.push_back(i);
  }
}

SlicePool::~SlicePool() {
  while (loading_ > 0) reader_.wait_one();
}

uint64_t SlicePool::paged_bytes(uint32_t slots) const {
  return std::min(memory_.bytes(), round_up(stride_ * slots, memory_.page_bytes()));
}

uint32_t SlicePool::slots_in(uint64_t bytes) const {
  if (bytes >= paged_bytes(slots_max())) return slots_max();
  return static_cast<uint32_t>(round_down(bytes, memory_.page_bytes()) / stride_);
}

void SlicePool::set_slots(uint32_t slots) {
  if (slots == table_.capacity()) return;
  const uint64_t bytes = paged_bytes(slots);
  if (bytes > kept_bytes_) {
    if (!make_present(memory_.memory().subspan(kept_bytes_, bytes - kept_bytes_))) return;
    kept_bytes_ = bytes;
  }
  table_.set_capacity(slots);
  give_back_ended();
}

void SlicePool::give_back_ended() {
  const uint64_t bytes = paged_bytes(table_.slots_held());
  if (bytes >= kept_bytes_) return;
  hypura::give_back(memory_.memory().subspan(bytes, kept_bytes_ - bytes));
  kept_bytes_ = bytes;
}

std::byte* SlicePool::base(uint32_t source) const {
  if (packed_) return memory_.data();
  return memory_.data() +
         reader_.lead({.shard = sources_[source].shard, .offset = sources_[source].offset});
}

std::optional<Lease> SlicePool::request(uint32_t source, uint32_t index, ReadClass read_class) {
  HYPURA_CHECK(index < sources_[source].count);
  const SliceId key{first_key_[source] + index};
  std::optional<SlotId> slot = table_.find(key);
  if (slot) {
    const bool ready = table_.state(*slot) == SlotState::ready;
    if (!ready && read_class == ReadClass::demand) reader_.promote(sink_, slot->value);
    return Lease(table_, *slot);
  }
  slot = table_.begin_load(key);
  if (!slot) return std::nullopt;
  Lease lease(table_, *slot);
  start_load(source, index, *slot, read_class);
  return lease;
}

bool SlicePool::is_ready(uint32_t source, uint32_t index) const {
  const std::optional<SlotId> slot = table_.find(SliceId{first_key_[source] + index});
  return slot && table_.state(*slot) == SlotState::ready;
}

bool SlicePool::holds(uint32_t source, uint32_t index) const {
  return table_.find(SliceId{first_key_[source] + index}).has_value();
}

void SlicePool::count_use(uint32_t source, uint32_t index) {
  is_ready(source, index) ? ++stats_.hits : ++stats_.misses;
  table_.use(SliceId{first_key_[source] + index});
}

Status SlicePool::wait(const Lease& lease) {
  while (table_.state(lease.slot()) == SlotState::loading) reader_.wait_one();
  return table_.state(lease.slot()) == SlotState::ready ? Status() : last_error_;
}

void SlicePool::start_load(uint32_t source, uint32_t index, SlotId slot, ReadClass read_class) {
  const FileRange range{.shard = sources_[source].shard,
                        .offset = sources_[source].offset + index * sources_[source].slice_bytes,
                        .bytes = sources_[source].slice_bytes};
  std::byte* buffer = slot_data(slot.value);
  if (packed_) {
    while (free_staging_.empty()) reader_.wait_one();
    const uint32_t staging = free_staging_.back();
    free_staging_.pop_back();
    staged_[slot.value] = {.staging = staging, .lead = reader_.lead(range)};
    buffer = staging_.data() + staging * staging_stride_;
  }
  ++loading_;
  reader_.submit(sink_, slot.value, range, buffer, read_class);
}

void SlicePool::on_loaded(uint32_t slot, const Status& status) {
  --loading_;
  if (packed_) {
    const Staged staged = std::exchange(staged_[slot], Staged{});
    if (status.ok()) {
      std::memcpy(slot_data(slot), staging_.data() + staged.staging * staging_stride_ + staged.lead,
                  slice_bytes_);
    }
    free_staging_.push_back(staged.staging);
  }
  if (!status.ok()) last_error_ = status;
  table_.finish_load(SlotId{slot}, status.ok());
}

}  // namespace hypura
