#include "plan/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "base/check.h"
#include "base/units.h"
#include "model/pinned_runs.h"

namespace hypura {
namespace {

// Rows are cut where ggml's kernels do not notice: at multiples of 64, of matrices that have a
// multiple of 64.
constexpr int64_t kCutRows = 64;
// A piece large enough that the calls it costs (15 us) vanish behind its read (2 ms at 2 GB/s).
constexpr uint64_t kPieceBytesMax = 4 * kMiB;
constexpr uint64_t kPieceBytesMin = 64 * kKiB;
constexpr uint64_t kPiecesPerModel = 64;
// Shares of the dense weights that are tried: steps of 0.1 %.
constexpr uint32_t kShares = 1024;
constexpr uint32_t kRingSlotsMin = 3;
// Of the weight budget, at most. Where that follows the machine's memory the ring cannot: it must
// leave most of it to what can be given back.
constexpr uint64_t kRingShare = 4;
constexpr uint64_t kElasticRingShare = 8;
// Transit slots: what a drive of 4 GB/s delivers while a group of experts computes and a layer's
// attention follows, but no more than this share of the weight budget.
constexpr uint64_t kTransitBytes = 64 * kMiB;
constexpr uint64_t kTransitShare = 64;
constexpr uint32_t kRowSlotsMin = 64;
constexpr uint32_t kRowSlotsMax = 512;
// Bookkeeping per cached slice and per slot.
constexpr uint64_t kKeyBytes = 4;
constexpr uint64_t kExpertKeyBytes = 12;  // with its rates of use
constexpr uint64_t kSlotBytes = 64;

// How a tensor may be kept, from the use graphs make of it.
enum class Kind : uint8_t { unused, must_pin, dense, experts, rows };

uint64_t row_bytes(const TensorInfo& tensor) {
  return tensor.bytes / static_cast<uint64_t>(tensor.elements() / tensor.ne[0]);
}

bool is_matrix(const TensorInfo& tensor) { return tensor.ne[2] == 1 && tensor.ne[3] == 1; }

// Some kernels for these types want the experts contiguous, and compute other bits if they are not.
bool needs_contiguous_slices(const TensorInfo& tensor) {
  return std::string_view(type_name(tensor.type)).starts_with("IQ");
}

class Placer {
 public:
  Placer(const ModelIndex& index, const PlacementInput& input, bool copies_routers)
      : index_(index), input_(input) {
    classify(copies_routers);
    choose_pieces();
    group_experts();
  }

  bool copied_routers() const { return copied_; }

  uint64_t minimum() const {
    Layout layout = empty_layout();
    layout.ring_slots = kRingSlotsMin;
    build_pools(layout, 0);
    account(layout);
    return layout.total_bytes();
  }

  Layout place() const {
    Layout layout = empty_layout();
    layout.ring_slots = kRingSlotsMin;
    build_pools(layout, 0);
    account(layout);
    HYPURA_CHECK(layout.total_bytes() <= input_.weight_budget);
    const Layout narrow = layout;
    widen_ring(layout, 0);
    pin_dense(layout);
    if (layout.ring_bytes > 0) {
      const uint64_t stretch_bytes = usual_stretch(layout);
      widen_ring(layout = narrow, stretch_bytes);
      pin_dense(layout);
    }
    add_transits(layout);
    grow_pools(layout);
    if (!layout.transits.empty() && holds_all_experts(layout)) {
      layout.transits.clear();
      grow_pools(layout);
    }
    fill_pools(layout);
    pin_row_tensors(layout);
    return layout;
  }

 private:
  const TensorInfo& info(TensorId id) const { return index_.tensor(id); }

  void classify(bool copies_routers);
  void copy_routers();
  void choose_pieces();
  void group_experts();
  Kind kind_of(TensorId id) const;
  int64_t piece_rows(const TensorInfo& tensor) const;
  uint64_t piece_bytes(const TensorInfo& tensor) const {
    return static_cast<uint64_t>(piece_rows(tensor)) * row_bytes(tensor);
  }
  bool is_packed(TensorId experts) const;
  bool can_cut(const TensorInfo& tensor) const { return tensor.ne[1] % kCutRows == 0; }

  Layout empty_layout() const;
  void add_row_cache(TensorHome& home, const TensorInfo& tensor) const;
  void widen_ring(Layout& layout, uint64_t stretch_bytes) const;
  uint64_t usual_stretch(const Layout& layout) const;
  void pin_dense(Layout& layout) const;
  template <typename Pin>
  uint64_t choose_share(uint32_t share, Pin pin) const;
  void pin_share(Layout& layout, uint32_t share) const;
  void add_transits(Layout& layout) const;
  bool holds_all_experts(const Layout& layout) const;
  void grow_pools(Layout& layout) const;
  void fill_pools(Layout& layout) const;
  void pin_row_tensors(Layout& layout) const;
  void build_pools(Layout& layout, uint64_t budget) const;
  void account(Layout& layout) const;
  uint64_t account_pools(Layout& layout, const std::vector<PoolLayout>& pools,
                         uint64_t key_bytes) const;
  bool fits(const Layout& layout) const { return layout.total_bytes() <= input_.weight_budget; }

  const ModelIndex& index_;
  const PlacementInput& input_;
  std::vector<Kind> kinds_;
  bool copied_ = false;  // routers that lie elsewhere
  std::vector<TensorId> dense_;  // in the order of use: by layer, then by file
  uint64_t piece_target_ = kPieceBytesMax;
  // Expert tensors whose slices may share slots: same row length, rows, type, number of experts.
  std::map<std::tuple<int64_t, int64_t, int, uint32_t>, std::vector<TensorId>> shapes_;
};

void Placer::classify(bool copies_routers) {
  kinds_.resize(index_.tensors().size());
  uint64_t dense_bytes = 0;
  for (uint32_t i = 0; i < kinds_.size(); ++i) {
    kinds_[i] = kind_of(TensorId{i});
    if (kinds_[i] == Kind::dense) {
      dense_.push_back(TensorId{i});
      dense_bytes += info(TensorId{i}).bytes;
    }
  }
  if (copies_routers) copy_routers();
  std::sort(dense_.begin(), dense_.end(), [&](TensorId a, TensorId b) {
    const auto order = [&](TensorId id) {
      const TensorInfo& tensor = info(id);
      return std::tuple(tensor.layer < 0 ? INT32_MAX : tensor.layer, tensor.shard, tensor.offset);
    };
    return order(a) < order(b);
  });
  piece_target_ = std::clamp(dense_bytes / kPiecesPerModel, kPieceBytesMin, kPieceBytesMax);
}

// Those that lie elsewhere, of layers whose experts are placed here.
void Placer::copy_routers() {
  std::set<std::pair<int, int64_t>> experts;  // by layer, how many
  for (uint32_t i = 0; i < kinds_.size(); ++i) {
    const TensorInfo& tensor = info(TensorId{i});
    if (kinds_[i] == Kind::experts) experts.emplace(tensor.layer, tensor.expert_count);
  }
  for (uint32_t i = 0; i < kinds_.size(); ++i) {
    const TensorInfo& tensor = info(TensorId{i});
    if (kinds_[i] != Kind::unused || tensor.role != TensorRole::router) continue;
    if (!is_matrix(tensor) || !experts.contains({tensor.layer, tensor.ne[1]})) continue;
    kinds_[i] = Kind::must_pin;
    copied_ = true;
  }
}

Kind Placer::kind_of(TensorId id) const {
  const TensorUse& use = input_.uses[id.value];
  const TensorInfo& tensor = info(id);
  if (!use.mapped) return Kind::unused;
  if (use.whole || (use.experts && input_.pins_experts)) return Kind::must_pin;
  if (use.experts) {
    return use.matmul || use.rows || tensor.expert_count == 0 ? Kind::must_pin : Kind::experts;
  }
  if (use.matmul) return Kind::dense;
  if (use.rows) return Kind::rows;
  // No graph was seen to use it; the encoder of a model with one, for example.
  if (tensor.role == TensorRole::expert) return Kind::experts;
  return is_matrix(tensor) && tensor.ne[1] > 1 ? Kind::dense : Kind::must_pin;
}

// One matrix that cannot be cut must not blow up every slot of the ring: it is pinned instead.
void Placer::choose_pieces() {
  std::erase_if(dense_, [&](TensorId id) {
    if (can_cut(info(id)) || info(id).bytes <= 2 * piece_target_) return false;
    kinds_[id.value] = Kind::must_pin;
    return true;
  });
}

void Placer::group_experts() {
  for (uint32_t i = 0; i < kinds_.size(); ++i) {
    if (kinds_[i] != Kind::experts) continue;
    const TensorInfo& tensor = info(TensorId{i});
    shapes_[{tensor.ne[0], tensor.ne[1], tensor.type, tensor.expert_count}].push_back(TensorId{i});
  }
}

int64_t Placer::piece_rows(const TensorInfo& tensor) const {
  if (!can_cut(tensor)) return tensor.ne[1];
  const int64_t rows = static_cast<int64_t>(piece_target_ / row_bytes(tensor));
  return std::clamp<int64_t>(rows - rows % kCutRows, kCutRows, tensor.ne[1]);
}

Layout Placer::empty_layout() const {
  Layout layout;
  layout.homes.resize(kinds_.size());
  for (uint32_t i = 0; i < kinds_.size(); ++i) {
    TensorHome& home = layout.homes[i];
    const TensorInfo& tensor = info(TensorId{i});
    switch (kinds_[i]) {
      case Kind::unused:
        break;
      case Kind::must_pin:
        home.home = Home::pinned;
        break;
      case Kind::dense:
        home.home = Home::stream;
        home.piece_rows = piece_rows(tensor);
        layout.ring_slot_bytes =
            std::max(layout.ring_slot_bytes, widened_bytes(piece_bytes(tensor)));
        if (input_.uses[i].rows) add_row_cache(home, tensor);
        break;
      case Kind::experts:
        home.home = Home::experts;
        break;
      case Kind::rows:
        home.home = Home::rows;
        add_row_cache(home, tensor);
        break;
    }
  }
  return layout;
}

void Placer::add_row_cache(TensorHome& home, const TensorInfo& tensor) const {
  const uint64_t wanted =
      std::clamp<uint64_t>(input_.rows_per_graph, kRowSlotsMin, kRowSlotsMax);
  home.row_slots = static_cast<uint32_t>(
      std::min<uint64_t>(wanted, static_cast<uint64_t>(tensor.ne[1])));
}

// A ring deep enough to read ahead of compute comes before pinned weights, within reason.
void Placer::widen_ring(Layout& layout, uint64_t stretch_bytes) const {
  if (layout.ring_bytes == 0) return;
  const uint64_t reasonable_bytes = (input_.weight_budget + input_.elsewhere_bytes) /
                                    (input_.elastic ? kElasticRingShare : kRingShare);
  const uint32_t wanted =
      input_.ring_slots > 0
          ? input_.ring_slots
          : look_ahead_slots(input_.speeds, stretch_bytes, layout.ring_slot_bytes);
  while (layout.ring_slots < wanted &&
         layout.ring_bytes + layout.ring_slot_bytes <= reasonable_bytes) {
    ++layout.ring_slots;
    account(layout);
    if (fits(layout)) continue;
    --layout.ring_slots;
    account(layout);
    return;
  }
}

// Bytes of pinned dense weights between two streamed ones, on average, in the order of use. Room
// for the longest stretch would cost as many bytes read for every token as it saves once.
uint64_t Placer::usual_stretch(const Layout& layout) const {
  uint64_t pinned_bytes = 0;
  uint64_t stretches = 0;
  bool in_stretch = false;
  for (const TensorId id : dense_) {
    const bool pinned = layout.homes[id.value].home == Home::pinned;
    if (pinned) pinned_bytes += info(id).bytes;
    if (pinned && !in_stretch) ++stretches;
    in_stretch = pinned;
  }
  return stretches == 0 ? 0 : pinned_bytes / stretches;
}

// Pins as large a share of the dense weights as fits, every n-th tensor in the order of use. The
// bytes pinned do not grow evenly with the share, so all shares are looked at: more budget then
// never pins less.
void Placer::pin_dense(Layout& layout) const {
  const Layout streamed = layout;
  std::vector<std::pair<uint64_t, uint32_t>> candidates;  // bytes pinned, share
  for (uint32_t share = 0; share <= kShares; ++share) {
    candidates.emplace_back(choose_share(share, [](TensorId) {}), share);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [bytes, share] : candidates) {
    if (bytes > input_.pin_bytes_max) continue;
    if (streamed.pool_bytes + bytes > input_.weight_budget) continue;
    pin_share(layout = streamed, share);
    account(layout);
    if (fits(layout)) return;
  }
}

// Calls `pin` for what a share of the dense weights is, and returns its bytes.
template <typename Pin>
uint64_t Placer::choose_share(uint32_t share, Pin pin) const {
  uint64_t dense_bytes = 0;
  uint64_t pinned_bytes = 0;
  for (const TensorId id : dense_) {
    dense_bytes += info(id).bytes;
    const uint64_t with_it = pinned_bytes + info(id).bytes;
    if (with_it > dense_bytes / kShares * share + dense_bytes % kShares * share / kShares) continue;
    pinned_bytes = with_it;
    pin(id);
  }
  return pinned_bytes;
}

void Placer::pin_share(Layout& layout, uint32_t share) const {
  choose_share(share, [&](TensorId id) {
    // Cut into pieces all the same, should its memory be wanted: but not where rows are looked up,
    // too.
    TensorHome& home = layout.homes[id.value];
    home = {.home = Home::pinned, .piece_rows = home.row_slots > 0 ? 0 : home.piece_rows};
  });
}

// One for all experts that are read in place, and one for each shape of the others.
void Placer::add_transits(Layout& layout) const {
  if (!input_.passes_experts || input_.packs_experts) return;
  std::vector<PoolLayout> transits;
  PoolLayout in_place;
  for (const auto& [shape, tensors] : shapes_) {
    const uint64_t slice_bytes = info(tensors.front()).expert_bytes();
    if (is_packed(tensors.front())) {
      transits.push_back({.slice_bytes = slice_bytes, .packed = true, .tensors = tensors});
      continue;
    }
    in_place.slice_bytes = std::max(in_place.slice_bytes, slice_bytes);
    in_place.tensors.insert(in_place.tensors.end(), tensors.begin(), tensors.end());
  }
  if (!in_place.tensors.empty()) transits.push_back(std::move(in_place));
  for (PoolLayout& transit : transits) {
    const uint64_t slot_bytes =
        widened_bytes(transit.slice_bytes) + (transit.packed ? transit.slice_bytes : 0);
    const uint64_t bytes = std::min(input_.weight_budget / kTransitShare / transits.size(),
                                    std::max(kTransitBytes, slot_bytes));
    transit.slots = static_cast<uint32_t>(bytes / slot_bytes);
    if (transit.slots == 0) continue;
    layout.transits.push_back(transit);
    account(layout);
    if (fits(layout)) continue;
    layout.transits.pop_back();
    account(layout);
  }
}

bool Placer::holds_all_experts(const Layout& layout) const {
  return std::all_of(layout.pools.begin(), layout.pools.end(), [&](const PoolLayout& pool) {
    return pool.tensors.size() == 1 && pool.slots >= info(pool.tensors.front()).expert_count;
  });
}

bool Placer::is_packed(TensorId experts) const {
  return input_.packs_experts || needs_contiguous_slices(info(experts)) ||
         info(experts).expert_bytes() % kBlockBytes != 0;
}

// Gives all the pools can use of what is left.
void Placer::grow_pools(Layout& layout) const {
  if (shapes_.empty()) return;
  uint64_t low = 0;
  uint64_t high = input_.weight_budget;
  while (low < high) {
    const uint64_t middle = low + (high - low + 1) / 2;
    build_pools(layout, middle);
    account(layout);
    if (fits(layout) && layout.pool_bytes <= input_.pool_bytes_max) {
      low = middle;
    } else {
      high = middle - 1;
    }
    if (high - low < kKiB) break;
  }
  build_pools(layout, low);
  account(layout);
}

// Pools grow together, by the same share, so that up to a slot of each shape is left over: of
// Mixtral's 38 MB each. A tensor's own pool may take it.
void Placer::fill_pools(Layout& layout) const {
  uint64_t refused_bytes = 0;
  for (PoolLayout& pool : layout.pools) {
    const uint32_t experts = info(pool.tensors.front()).expert_count;
    const uint32_t least = std::clamp<uint32_t>(input_.experts_used, 1, experts);
    const bool refused = pool.slice_bytes == refused_bytes;
    if (refused || pool.tensors.size() > 1 || pool.slots < least || pool.slots >= experts) continue;
    ++pool.slots;
    account(layout);
    if (fits(layout) && layout.pool_bytes <= input_.pool_bytes_max) continue;
    --pool.slots;
    account(layout);
    refused_bytes = pool.slice_bytes;
  }
}

void Placer::pin_row_tensors(Layout& layout) const {
  for (uint32_t i = 0; i < kinds_.size(); ++i) {
    if (kinds_[i] != Kind::rows) continue;
    const TensorHome before = layout.homes[i];
    layout.homes[i] = {.home = Home::pinned};
    account(layout);
    if (fits(layout)) continue;
    layout.homes[i] = before;
    account(layout);
  }
}

// Every expert tensor gets a pool of its own, with the same share of its experts (rounded so that
// all of them together have that share), if that is at least what one token routes to: fewer slots
// would be overwritten before they are used again. Else as many tensors as possible get that least
// pool, and the others share one.
void Placer::build_pools(Layout& layout, uint64_t budget) const {
  layout.pools.clear();
  uint64_t expert_bytes = 0;
  for (const auto& [shape, tensors] : shapes_) {
    for (const TensorId id : tensors) expert_bytes += info(id).bytes;
  }
  if (expert_bytes == 0) return;
  const double share =
      std::min(1.0, static_cast<double>(budget) / static_cast<double>(expert_bytes));

  for (const auto& [shape, tensors] : shapes_) {
    const TensorInfo& first = info(tensors.front());
    const uint32_t experts = first.expert_count;
    const uint32_t least = std::clamp<uint32_t>(input_.experts_used, 1, experts);
    const double each = share * experts;
    const bool packed = is_packed(tensors.front());
    const auto add_pool = [&](uint32_t slots, std::vector<TensorId> members) {
      for (const TensorId id : members) {
        layout.homes[id.value].pool = static_cast<uint32_t>(layout.pools.size());
      }
      layout.pools.push_back({.slice_bytes = first.expert_bytes(),
                              .slots = slots,
                              .packed = packed,
                              .tensors = std::move(members)});
    };
    if (each >= least) {
      // Of Mixtral's 8 experts 2.9 may be meant: nine tensors in ten get 3 slots, the tenth 2.
      uint64_t given = 0;
      for (size_t k = 0; k < tensors.size(); ++k) {
        const uint64_t by_now = static_cast<uint64_t>(each * static_cast<double>(k + 1));
        add_pool(static_cast<uint32_t>(by_now - given), {tensors[k]});
        given = by_now;
      }
      continue;
    }
    // One tensor's worth of slots goes to the shared pool.
    const double slots = each * static_cast<double>(tensors.size());
    const size_t own = std::min(
        tensors.size() - 1, static_cast<size_t>(std::max(0.0, slots / least - 1)));
    for (size_t k = 0; k < own; ++k) add_pool(least, {tensors[k]});
    add_pool(least, {tensors.begin() + static_cast<ptrdiff_t>(own), tensors.end()});
  }
}

void Placer::account(Layout& layout) const {
  layout.pinned_bytes = 0;
  for (const PinnedRun& run : pinned_runs(index_, layout.homes)) {
    layout.pinned_bytes += widened_bytes(run.bytes);
  }
  layout.row_bytes = 0;
  layout.staging_bytes = 0;
  layout.table_bytes = 0;
  bool streams = false;
  for (uint32_t i = 0; i < layout.homes.size(); ++i) {
    const TensorHome& home = layout.homes[i];
    const TensorInfo& tensor = info(TensorId{i});
    streams = streams || home.home == Home::stream;
    if (home.row_slots == 0) continue;
    layout.row_bytes += round_up(row_bytes(tensor) * home.row_slots, kBlockBytes);
    layout.staging_bytes +=
        widened_bytes(row_bytes(tensor)) * std::min(home.row_slots, kStagingSlotsMax);
    layout.table_bytes +=
        kKeyBytes * static_cast<uint64_t>(tensor.ne[1]) + kSlotBytes * home.row_slots;
  }
  layout.ring_bytes = streams ? layout.ring_slots * layout.ring_slot_bytes : 0;
  layout.pool_bytes = account_pools(layout, layout.pools, kExpertKeyBytes);
  layout.transit_bytes = account_pools(layout, layout.transits, kKeyBytes);
}

// Bytes of their slots; what they need beside is added to the layout's.
uint64_t Placer::account_pools(Layout& layout, const std::vector<PoolLayout>& pools,
                               uint64_t key_bytes) const {
  uint64_t bytes = 0;
  for (const PoolLayout& pool : pools) {
    const uint64_t stride = pool.packed ? pool.slice_bytes : widened_bytes(pool.slice_bytes);
    bytes += round_up(stride * pool.slots, kBlockBytes);
    if (pool.packed) {
      layout.staging_bytes +=
          widened_bytes(pool.slice_bytes) * std::min(pool.slots, kStagingSlotsMax);
    }
    layout.table_bytes += kSlotBytes * pool.slots;
    for (const TensorId id : pool.tensors) layout.table_bytes += key_bytes * info(id).expert_count;
  }
  return bytes;
}

bool has_room_for_guesses(const Layout& layout, uint32_t experts_used) {
  return std::any_of(layout.pools.begin(), layout.pools.end(), [&](const PoolLayout& pool) {
    return pool.slots >= uint64_t{kSlotsToGuess} * experts_used;
  });
}

}  // namespace

uint64_t minimum_weight_budget(const ModelIndex& index, const PlacementInput& input) {
  return Placer(index, input, false).minimum();
}

Result<Layout> place(const ModelIndex& index, const PlacementInput& input) {
  HYPURA_CHECK(input.uses.size() == index.tensors().size());
  const Placer placer(index, input, input.copies_routers);
  const uint64_t minimum = placer.minimum();
  if (placer.copied_routers()) {
    if (minimum <= input.weight_budget) {
      Layout layout = placer.place();
      if (has_room_for_guesses(layout, input.experts_used)) return layout;
    }
    PlacementInput without = input;
    without.copies_routers = false;
    return place(index, without);
  }
  if (minimum > input.weight_budget) {
    return Status(StatusCode::does_not_fit,
                  fmt::format("plan does not fit: weights need {} of RAM, {} is left for them",
                              format_bytes(minimum), format_bytes(input.weight_budget)));
  }
  return placer.place();
}

}  // namespace hypura
