#include "cache/slot_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace hypura {
namespace {

TEST(SlotTable, LoadsEvictsTheLeastRecentlyUsedAndKeepsPins) {
  SlotTable table(4, 2, make_lru_policy(2));
  const SlotId a = *table.begin_load(SliceId{0});
  const SlotId b = *table.begin_load(SliceId{1});
  EXPECT_EQ(table.begin_load(SliceId{2}), std::nullopt) << "loading slots are not victims";
  table.finish_load(a, true);
  table.finish_load(b, true);
  table.use(SliceId{0});
  {
    Lease lease(table, b);
    EXPECT_EQ(table.begin_load(SliceId{2}), a) << "b is older, but pinned";
    table.finish_load(a, true);
  }
  EXPECT_EQ(table.begin_load(SliceId{3}), b);
  EXPECT_EQ(table.find(SliceId{1}), std::nullopt);
}

TEST(SlotTable, FailedLoadIsForgottenAndItsSlotReused) {
  SlotTable table(2, 1, make_lru_policy(1));
  const SlotId slot = *table.begin_load(SliceId{0});
  {
    Lease waiter(table, slot);
    table.finish_load(slot, false);
    EXPECT_EQ(table.find(SliceId{0}), std::nullopt);
    EXPECT_EQ(table.begin_load(SliceId{1}), std::nullopt) << "its waiter still holds the slot";
  }
  EXPECT_EQ(table.begin_load(SliceId{1}), slot);
}

TEST(SlotTable, MovedLeaseReleasesOnce) {
  SlotTable table(1, 1, make_lru_policy(1));
  const SlotId slot = *table.begin_load(SliceId{0});
  Lease first(table, slot);
  Lease second = std::move(first);
  first = Lease(table, slot);
  EXPECT_EQ(table.pins(slot), 2u);
  second = Lease();
  EXPECT_EQ(table.pins(slot), 1u);
}

TEST(SlotTable, ShrinkingEvictsAboveTheLineAndWaitsForPinsAndLoads) {
  SlotTable table(8, 4, make_lru_policy(4));
  for (uint32_t key = 0; key < 4; ++key) ASSERT_EQ(table.begin_load(SliceId{key}), SlotId{key});
  for (const uint32_t slot : {0, 1, 2}) table.finish_load(SlotId{slot}, true);
  std::optional<Lease> lease(std::in_place, table, SlotId{2});

  table.set_capacity(1);
  EXPECT_EQ(table.find(SliceId{1}), std::nullopt);
  EXPECT_EQ(table.find(SliceId{2}), SlotId{2}) << "pinned";
  EXPECT_EQ(table.find(SliceId{3}), SlotId{3}) << "loading";
  EXPECT_EQ(table.slots_held(), 4u);
  table.finish_load(SlotId{3}, true);
  EXPECT_EQ(table.find(SliceId{3}), std::nullopt);
  EXPECT_EQ(table.slots_held(), 3u);
  { const Lease second(table, *table.find(SliceId{2})); }
  EXPECT_EQ(table.find(SliceId{2}), SlotId{2}) << "one pin is left";
  lease.reset();
  EXPECT_EQ(table.find(SliceId{2}), std::nullopt);
  EXPECT_EQ(table.slots_held(), 1u);

  EXPECT_EQ(table.begin_load(SliceId{5}), SlotId{0}) << "the only slot";
  EXPECT_EQ(table.begin_load(SliceId{6}), std::nullopt);
  table.set_capacity(3);
  EXPECT_EQ(table.begin_load(SliceId{6}), SlotId{1});
  EXPECT_EQ(table.begin_load(SliceId{7}), SlotId{2});
  EXPECT_EQ(table.begin_load(SliceId{1}), std::nullopt);
}

TEST(SlotTable, AFailedSlotAboveTheLineComesBackOnceWhenItGrows) {
  SlotTable table(4, 2, make_lru_policy(2));
  table.finish_load(*table.begin_load(SliceId{0}), true);
  const SlotId high = *table.begin_load(SliceId{1});
  std::optional<Lease> waiter(std::in_place, table, high);
  table.set_capacity(1);
  table.finish_load(high, false);
  EXPECT_FALSE(table.has_empty_slot());
  EXPECT_EQ(table.slots_held(), 2u);
  table.set_capacity(2);
  EXPECT_FALSE(table.has_empty_slot()) << "its waiter still holds the slot";
  table.set_capacity(1);
  waiter.reset();
  EXPECT_FALSE(table.has_empty_slot());
  table.set_capacity(2);
  EXPECT_EQ(table.begin_load(SliceId{2}), high);
  EXPECT_FALSE(table.has_empty_slot());
}

// The dumb model of a table that shrinks and grows: who is in which slot, with what state and pins.
TEST(SlotTable, AgreesWithADumbModelWhileItsCapacityChanges) {
  struct Entry {
    uint32_t key = 0;
    SlotState state = SlotState::free;
    uint32_t pins = 0;
  };
  uint64_t lingered = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    const auto below = [&](size_t limit) { return static_cast<uint32_t>(generator() % limit); };
    const uint32_t keys = 1 + below(12);
    std::vector<Entry> slots(1 + below(6));
    uint32_t capacity = static_cast<uint32_t>(slots.size());
    SlotTable table(keys, capacity, make_lru_policy(capacity));
    const auto holds = [](const Entry& entry) {
      return entry.state == SlotState::loading || entry.state == SlotState::ready;
    };
    const auto drop_above = [&] {
      for (uint32_t i = capacity; i < slots.size(); ++i) {
        if (slots[i].state == SlotState::ready && slots[i].pins == 0) slots[i] = {};
      }
    };

    for (int step = 0; step < 300; ++step) {
      const uint32_t chosen = below(slots.size());
      Entry& entry = slots[chosen];
      switch (below(6)) {
        case 0: {
          const uint32_t key = below(keys);
          if (table.find(SliceId{key})) break;
          const auto may_go = [](const Entry& e) {
            return e.pins == 0 && e.state != SlotState::loading;
          };
          const bool room = std::any_of(slots.begin(), slots.begin() + capacity, may_go);
          const std::optional<SlotId> slot = table.begin_load(SliceId{key});
          ASSERT_EQ(slot.has_value(), room);
          if (!slot) break;
          ASSERT_LT(slot->value, capacity);
          ASSERT_EQ(slots[slot->value].pins, 0u);
          ASSERT_NE(slots[slot->value].state, SlotState::loading);
          slots[slot->value] = {.key = key, .state = SlotState::loading};
          break;
        }
        case 1: {
          if (entry.state != SlotState::loading) break;
          const bool ok = below(4) > 0;
          table.finish_load(SlotId{chosen}, ok);
          entry.state = ok ? SlotState::ready : SlotState::failed;
          break;
        }
        case 2:
          if (!holds(entry)) break;
          table.pin(SlotId{chosen});
          ++entry.pins;
          break;
        case 3:
          if (entry.pins == 0) break;
          table.unpin(SlotId{chosen});
          --entry.pins;
          break;
        case 4:
          if (holds(entry)) table.use(SliceId{entry.key});
          break;
        case 5:
          capacity = 1 + below(slots.size());
          table.set_capacity(capacity);
          break;
      }
      drop_above();
      uint32_t held = capacity;
      for (uint32_t i = 0; i < slots.size(); ++i) {
        const Entry& other = slots[i];
        const bool in_use = other.state == SlotState::loading || other.pins > 0;
        if (i >= capacity && in_use) held = i + 1;
        if (!holds(other)) continue;
        ASSERT_EQ(table.find(SliceId{other.key}), SlotId{i});
      }
      for (uint32_t key = 0; key < keys; ++key) {
        const bool there = std::any_of(slots.begin(), slots.end(), [&](const Entry& e) {
          return holds(e) && e.key == key;
        });
        ASSERT_EQ(table.find(SliceId{key}).has_value(), there);
      }
      ASSERT_EQ(table.slots_held(), held);
      lingered += held > capacity;
    }
  }
  EXPECT_GT(lingered, 1000u) << "or nothing was pinned above the line";
}

// The dumb model: a list in order of use and a map of pins.
TEST(SlotTable, AgreesWithADumbModel) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    const auto random = [&] { return static_cast<uint32_t>(generator()); };
    const uint32_t keys = 1 + random() % 12;
    const uint32_t slots = 1 + random() % 6;
    SlotTable table(keys, slots, make_lru_policy(slots));
    std::list<uint32_t> order;  // ready and loading keys, least recently used first
    std::map<uint32_t, SlotState> state;
    std::map<uint32_t, uint32_t> pins;

    for (int step = 0; step < 300; ++step) {
      const uint32_t key = random() % keys;
      const std::optional<SlotId> slot = table.find(SliceId{key});
      ASSERT_EQ(slot.has_value(), state.contains(key));
      switch (random() % 4) {
        case 0: {
          if (slot) break;
          auto victim = order.end();
          if (state.size() == slots) {
            victim = std::find_if(order.begin(), order.end(), [&](uint32_t k) {
              return state[k] == SlotState::ready && pins[k] == 0;
            });
            if (victim == order.end()) {
              ASSERT_EQ(table.begin_load(SliceId{key}), std::nullopt);
              break;
            }
          }
          ASSERT_TRUE(table.begin_load(SliceId{key}));
          if (victim != order.end()) {
            ASSERT_EQ(table.find(SliceId{*victim}), std::nullopt);
            state.erase(*victim);
            order.erase(victim);
          }
          state[key] = SlotState::loading;
          order.push_back(key);
          break;
        }
        case 1:
          if (!slot || state[key] != SlotState::loading || pins[key] > 0) break;
          if (random() % 4 == 0) {
            table.finish_load(*slot, false);
            state.erase(key);
            order.remove(key);
          } else {
            table.finish_load(*slot, true);
            state[key] = SlotState::ready;
          }
          break;
        case 2:
          if (!slot) break;
          table.use(SliceId{key});
          order.remove(key);
          order.push_back(key);
          break;
        case 3:
          if (!slot) break;
          if (pins[key] > 0 && random() % 2 == 0) {
            table.unpin(*slot);
            --pins[key];
          } else {
            table.pin(*slot);
            ++pins[key];
          }
          break;
      }
      if (table.find(SliceId{key})) {
        ASSERT_EQ(table.key(*table.find(SliceId{key})), SliceId{key});
        ASSERT_EQ(table.state(*table.find(SliceId{key})), state[key]);
      }
    }
  }
}

}  // namespace
}  // namespace hypura
