#include "io/key_table.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace hypura {
namespace {

// Against std::unordered_map, over few keys so that probes collide and wrap.
TEST(KeyTable, AgreesWithAMap) {
  constexpr uint32_t kEntriesMax = 12;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 draw(seed);
    KeyTable table(kEntriesMax);
    std::unordered_map<uint64_t, uint32_t> map;
    for (int step = 0; step < 500; ++step) {
      const uint64_t key = draw() % 40 * (seed % 2 == 0 ? 1 : 0x100000001);
      if (map.contains(key)) {
        table.erase(key);
        map.erase(key);
      } else if (map.size() < kEntriesMax) {
        const uint32_t index = static_cast<uint32_t>(draw() % 1000);
        table.insert(key, index);
        map.emplace(key, index);
      }
      ASSERT_EQ(table.size(), map.size()) << "seed " << seed;
      for (const auto& [present, index] : map) ASSERT_EQ(table.find(present), index) << seed;
      ASSERT_EQ(table.find(key).has_value(), map.contains(key)) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace hypura
