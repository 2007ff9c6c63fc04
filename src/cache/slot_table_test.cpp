#include "cache/slot_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <utility>

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
