#include <vector>

#include "base/check.h"
#include "cache/eviction_policy.h"

namespace hypura {
namespace {

// A doubly linked list in arrays: head_ is the least, tail_ the most recently used slot.
class LruPolicy final : public EvictionPolicy {
 public:
  explicit LruPolicy(uint32_t slot_count) : links_(slot_count) {}

  const char* name() const override { return "lru"; }

  void on_insert(SlotId slot, SliceId) override {
    HYPURA_CHECK(!links_[slot.value].ranked);
    append(slot.value);
  }

  void on_use(SliceId, std::optional<SlotId> slot) override {
    if (!slot || slot->value == tail_) return;
    unlink(slot->value);
    append(slot->value);
  }

  void on_remove(SlotId slot) override { unlink(slot.value); }

  std::optional<SlotId> first_victim() const override { return at(head_); }
  std::optional<SlotId> next_victim(SlotId after) const override {
    return at(links_[after.value].next);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Link {
    uint32_t previous = kNone;
    uint32_t next = kNone;
    bool ranked = false;
  };

  static std::optional<SlotId> at(uint32_t slot) {
    return slot == kNone ? std::nullopt : std::optional(SlotId{slot});
  }

  void append(uint32_t slot) {
    links_[slot] = {.previous = tail_, .next = kNone, .ranked = true};
    (tail_ == kNone ? head_ : links_[tail_].next) = slot;
    tail_ = slot;
  }

  void unlink(uint32_t slot) {
    Link& link = links_[slot];
    HYPURA_CHECK(link.ranked);
    (link.previous == kNone ? head_ : links_[link.previous].next) = link.next;
    (link.next == kNone ? tail_ : links_[link.next].previous) = link.previous;
    link = Link{};
  }

  std::vector<Link> links_;
  uint32_t head_ = kNone;
  uint32_t tail_ = kNone;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_lru_policy(uint32_t slot_count) {
  return std::make_unique<LruPolicy>(slot_count);
}

}  // namespace hypura
