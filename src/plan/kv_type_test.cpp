#include "plan/kv_type.h"

#include <gtest/gtest.h>

#include "model/gguf_bytes_for_test.h"

namespace hypura {
namespace {

// A matrix of 64 MiB in F16.
class KvType : public testing::Test {
 protected:
  KvType() {
    GgufBytes file;
    file.text("general.architecture", "tiny").number("tiny.block_count", 1);
    file.tensor({.name = "blk.0.attn_q.weight",
                 .ne = {1024, 32768},
                 .type = GgufBytes::kF16,
                 .bytes = kWeights});
    index_ = *ModelIndex::open(directory_.write("m.gguf", file.build()));
    demand_.uses = assumed_uses(index_);
  }
  bool pays(uint64_t kv_bytes, uint64_t budget_bytes) {
    demand_.kv_bytes = demand_.fixed_bytes = kv_bytes;
    return quantised_kv_pays({.index = index_,
                              .demand = demand_,
                              .machine = machine_,
                              .budget_bytes = budget_bytes});
  }

  static constexpr uint64_t kMiBytes = 1 << 20;
  static constexpr uint64_t kWeights = 64 * kMiBytes;
  TestDirectory directory_;
  ModelIndex index_;
  ModelDemand demand_;
  MachineProfile machine_;
};

TEST_F(KvType, NotWhereEverythingFits) {
  EXPECT_FALSE(pays(40 * kMiBytes, kWeights + 40 * kMiBytes));
  EXPECT_FALSE(pays(0, kWeights / 2));
}

TEST_F(KvType, WhereItFreesATenthOfWhatIsMissing) {
  // 20 MiB are missing: 2 of them are a tenth, and 4.27 MiB of F16 free so much.
  EXPECT_TRUE(pays(5 * kMiBytes, kWeights - 15 * kMiBytes));
  EXPECT_FALSE(pays(4 * kMiBytes, kWeights - 16 * kMiBytes));
}

TEST_F(KvType, WhereItIsThatOrNothing) { EXPECT_TRUE(pays(4 * kMiBytes, 5 * kMiBytes)); }

}  // namespace
}  // namespace hypura
