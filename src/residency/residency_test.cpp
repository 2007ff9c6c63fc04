#include "residency/residency.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "model/pinned_runs.h"
#include "residency/test_support.h"

namespace hypura {
namespace {

constexpr int64_t kRows = 150;
constexpr int64_t kRowBytes = 34;  // Q8_0

// Three shards: a dense one with a gap between its tensors, one of experts, one mixed.
DrawnModel three_shards() {
  GgufBytes dense;
  dense.text("general.architecture", "tiny").number("tiny.block_count", 2);
  dense.number("tiny.expert_count", 4).number("tiny.expert_used_count", 2);
  dense.tensor({.name = "token_embd.weight",
                .ne = {32, kRows},
                .type = GgufBytes::kQ8_0,
                .bytes = kRows * kRowBytes});
  dense.tensor({.name = "blk.0.attn_norm.weight", .ne = {33}, .bytes = 132});
  dense.tensor({.name = "blk.0.attn_q.weight",
                .ne = {32, kRows},
                .type = GgufBytes::kQ8_0,
                .bytes = kRows * kRowBytes});
  dense.tensor({.name = "blk.0.attn_k_norm.weight", .ne = {35}, .bytes = 140});
  dense.tensor({.name = "blk.0.attn_k.weight", .ne = {32, 64}, .bytes = 8192});

  GgufBytes experts;
  experts.tensor({.name = "blk.0.ffn_up_exps.weight", .ne = {32, 32, 4}, .bytes = 16384});
  experts.tensor({.name = "blk.0.ffn_norm.weight", .ne = {3}, .bytes = 12});
  experts.tensor({.name = "blk.1.ffn_up_exps.weight", .ne = {32, 32, 4}, .bytes = 16384});
  experts.tensor({.name = "blk.0.ffn_down_exps.weight", .ne = {32, 3, 4}, .bytes = 1536});

  GgufBytes mixed;
  mixed.tensor({.name = "blk.1.attn_q.weight", .ne = {32, 128}, .bytes = 16384});
  mixed.tensor({.name = "output_norm.weight", .ne = {5}, .bytes = 20});
  mixed.tensor({.name = "output.weight", .ne = {32, 64}, .bytes = 8192});
  return DrawnModel({dense, experts, mixed});
}

class ResidencyTest : public testing::Test {
 protected:
  // Some of every home.
  ResidencyTest() {
    layout_.homes.resize(model_.index().tensors().size());
    for (const char* name : {"blk.0.attn_norm.weight", "blk.0.attn_k_norm.weight",
                             "blk.0.ffn_norm.weight", "output_norm.weight", "output.weight"}) {
      home(name) = {.home = Home::pinned};
    }
    home("token_embd.weight") = {.home = Home::rows, .row_slots = 8};
    home("blk.0.attn_q.weight") = {.home = Home::stream, .piece_rows = 64};
    home("blk.0.attn_k.weight") = {.home = Home::stream, .piece_rows = 64};
    home("blk.1.attn_q.weight") = {.home = Home::stream, .piece_rows = 64};
    layout_.ring_slots = 3;
    layout_.ring_slot_bytes = widened_bytes(8192);
    layout_.ring_bytes = layout_.ring_slots * layout_.ring_slot_bytes;
    home("blk.0.ffn_up_exps.weight") = {.home = Home::experts, .pool = 0};
    home("blk.1.ffn_up_exps.weight") = {.home = Home::experts, .pool = 0};
    home("blk.0.ffn_down_exps.weight") = {.home = Home::experts, .pool = 1};
    layout_.pools = {
        {.slice_bytes = 4096,
         .slots = 2,
         .tensors = {model_.id("blk.0.ffn_up_exps.weight"), model_.id("blk.1.ffn_up_exps.weight")}},
        {.slice_bytes = 384,
         .slots = 3,
         .packed = true,
         .tensors = {model_.id("blk.0.ffn_down_exps.weight")}}};
  }

  TensorHome& home(const char* name) { return layout_.homes[model_.id(name).value]; }
  void create(const SimOptions& options = {}) {
    device_ = std::make_unique<BoundedDevice>(options);
    Result<std::unique_ptr<Residency>> residency =
        Residency::create(model_.index(), layout_, *device_);
    ASSERT_TRUE(residency.ok()) << residency.status().to_string();
    residency_ = *std::move(residency);
  }
  // Every pinned tensor has the file's bytes, and no other has any.
  void expect_pinned() {
    for (uint32_t i = 0; i < layout_.homes.size(); ++i) {
      const TensorInfo& tensor = model_.index().tensors()[i];
      const std::byte* data = residency_->pinned(TensorId{i});
      ASSERT_EQ(data != nullptr, layout_.homes[i].home == Home::pinned) << tensor.name;
      if (data == nullptr) continue;
      EXPECT_TRUE(model_.matches(data, tensor)) << tensor.name;
    }
  }
  void expect_slice(SlicePool& pool, uint32_t source, uint32_t index, const TensorInfo& tensor,
                    uint64_t slice_bytes) {
    const std::optional<Lease> lease = pool.request(source, index, ReadClass::demand);
    ASSERT_TRUE(lease.has_value());
    ASSERT_TRUE(pool.wait(*lease).ok());
    const FileRange range{tensor.shard, tensor.offset + index * slice_bytes, slice_bytes};
    EXPECT_TRUE(model_.matches(pool.base(source) + lease->slot().value * pool.stride(), range))
        << tensor.name << ", " << index;
  }

  DrawnModel model_ = three_shards();
  Layout layout_;
  std::unique_ptr<BoundedDevice> device_;
  std::unique_ptr<Residency> residency_;
};

TEST_F(ResidencyTest, PinnedTensorsOfAllShardsHaveTheirBytes) {
  create();
  EXPECT_EQ(residency_->pinned(model_.id("output.weight")), nullptr) << "not before it is loaded";
  uint64_t done = 0;
  uint64_t total = 0;
  ASSERT_TRUE(residency_
                  ->load_pinned([&](uint64_t now, uint64_t all) {
                    EXPECT_GE(now, done);
                    EXPECT_LE(now, all);
                    done = now;
                    total = all;
                    return true;
                  })
                  .ok());
  expect_pinned();
  uint64_t run_bytes = 0;
  for (const PinnedRun& run : pinned_runs(model_.index(), layout_.homes)) run_bytes += run.bytes;
  EXPECT_EQ(total, run_bytes);
  EXPECT_EQ(done, total);
  EXPECT_GE(residency_->stats().pinned_bytes_read, run_bytes);
}

TEST_F(ResidencyTest, EverythingPinned) {
  for (TensorHome& home : layout_.homes) home = {.home = Home::pinned};
  layout_.pools.clear();
  create();
  ASSERT_TRUE(residency_->load_pinned(nullptr).ok());
  expect_pinned();
}

TEST_F(ResidencyTest, NothingPinned) {
  for (TensorHome& home : layout_.homes) home = {};
  layout_.pools.clear();
  create();
  EXPECT_TRUE(residency_->load_pinned(nullptr).ok());
  EXPECT_EQ(residency_->stats().bytes_read, 0u);
  EXPECT_EQ(residency_->load_whole(TensorId{0}).status().code(), StatusCode::does_not_fit)
      << "without a ring";
}

TEST_F(ResidencyTest, PiecesTileStreamedTensors) {
  create();
  ASSERT_TRUE(residency_->load_pinned(nullptr).ok());
  std::vector<bool> used(3 + 1 + 2);
  for (int token = 0; token < 2; ++token) {
    for (const char* name :
         {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.1.attn_q.weight"}) {
      const TensorInfo& tensor = model_.tensor(name);
      const uint64_t row_bytes = tensor.bytes / static_cast<uint64_t>(tensor.ne[1]);
      int64_t next_row = 0;
      for (uint32_t number = 0; number < residency_->piece_count(model_.id(name)); ++number) {
        const Residency::Piece piece = residency_->piece(model_.id(name), number);
        EXPECT_EQ(piece.first_row, next_row);
        EXPECT_GT(piece.rows, 0);
        next_row += piece.rows;
        used.at(piece.index) = true;
        const Result<DenseRing::PieceLease> lease = residency_->ring().acquire(piece.index);
        ASSERT_TRUE(lease.ok());
        const FileRange range{
            .shard = tensor.shard,
            .offset = tensor.offset + static_cast<uint64_t>(piece.first_row) * row_bytes,
            .bytes = static_cast<uint64_t>(piece.rows) * row_bytes};
        EXPECT_TRUE(model_.matches(lease->data(), range)) << name << ", " << number;
      }
      EXPECT_EQ(next_row, tensor.ne[1]);
    }
  }
  EXPECT_EQ(used, std::vector<bool>(6, true));
  EXPECT_EQ(residency_->ring().stats().resyncs, 0u) << "the first prediction was right";
  EXPECT_EQ(residency_->stats().dense_hits + residency_->stats().dense_misses, 12u);
}

TEST_F(ResidencyTest, ExpertsAndRowsHaveTheirBytes) {
  create();
  for (const char* name : {"blk.0.ffn_up_exps.weight", "blk.1.ffn_up_exps.weight",
                           "blk.0.ffn_down_exps.weight"}) {
    const PooledTensor pooled = residency_->experts(model_.id(name));
    ASSERT_NE(pooled.pool, nullptr);
    const TensorInfo& tensor = model_.tensor(name);
    for (uint32_t expert = 0; expert < 4; ++expert) {
      expect_slice(*pooled.pool, pooled.source, expert, tensor, tensor.expert_bytes());
    }
  }
  SlicePool* rows = residency_->rows(model_.id("token_embd.weight"));
  ASSERT_NE(rows, nullptr);
  EXPECT_EQ(residency_->rows(model_.id("output.weight")), nullptr);
  for (uint32_t row = 0; row < kRows; ++row) {
    expect_slice(*rows, 0, row, model_.tensor("token_embd.weight"), kRowBytes);
  }
}

TEST_F(ResidencyTest, LoadsWholeTensorsBetweenPieces) {
  create();
  const TensorId embedding = model_.id("token_embd.weight");
  for (int round = 0; round < 3; ++round) {
    const uint32_t piece = residency_->piece(model_.id("blk.0.attn_k.weight"), 0).index;
    const TensorInfo& key = model_.tensor("blk.0.attn_k.weight");
    {
      const Result<DenseRing::PieceLease> lease = residency_->ring().acquire(piece);
      ASSERT_TRUE(lease.ok());
      EXPECT_TRUE(model_.matches(lease->data(), key));
    }
    const Result<std::byte*> whole = residency_->load_whole(embedding);
    ASSERT_TRUE(whole.ok()) << whole.status().to_string();
    EXPECT_TRUE(model_.matches(*whole, model_.tensor("token_embd.weight")));
  }
}

TEST_F(ResidencyTest, RefusesToLoadWholeWhatTheRingCannotHold) {
  home("blk.1.attn_q.weight").home = Home::unused;
  layout_.ring_slots = 2;
  layout_.ring_bytes = 2 * layout_.ring_slot_bytes;
  home("blk.0.ffn_up_exps.weight") = {};
  home("blk.1.ffn_up_exps.weight") = {};
  home("blk.0.ffn_down_exps.weight") = {};
  layout_.pools.clear();
  create();
  EXPECT_TRUE(residency_->load_whole(model_.id("blk.1.attn_q.weight")).ok()) << "it just fits";

  for (TensorHome& home : layout_.homes) {
    if (home.home == Home::stream) home = {};
  }
  home("blk.0.attn_q.weight") = {.home = Home::stream, .piece_rows = 64};
  layout_.ring_slot_bytes = widened_bytes(64 * kRowBytes);
  layout_.ring_bytes = 2 * layout_.ring_slot_bytes;
  residency_.reset();
  create();
  const Status status = residency_->load_whole(model_.id("blk.1.attn_q.weight")).status();
  EXPECT_EQ(status.code(), StatusCode::does_not_fit);
  EXPECT_EQ(status.to_string(),
            "error: tensor blk.1.attn_q.weight is needed in one piece: 16 KiB\n"
            "  why: the buffer for streamed weights has 16 KiB\n"
            "  try: a larger RAM budget");
}

TEST_F(ResidencyTest, ReadsBytesOfAnyTensor) {
  create({.faults = {.short_read = 0.5, .eintr = 0.3}});
  ASSERT_TRUE(residency_->load_pinned(nullptr).ok());
  for (const TensorInfo& tensor : model_.index().tensors()) {
    const TensorId id = model_.id(tensor.name);
    std::vector<std::byte> bytes(tensor.bytes);
    ASSERT_TRUE(residency_->read_bytes(id, 0, bytes.data(), bytes.size()).ok());
    EXPECT_TRUE(model_.matches(bytes.data(), tensor)) << tensor.name;
    ASSERT_TRUE(residency_->read_bytes(id, tensor.bytes - 1, bytes.data(), 1).ok());
    const FileRange last_byte{tensor.shard, tensor.offset + tensor.bytes - 1, 1};
    EXPECT_TRUE(model_.matches(bytes.data(), last_byte)) << tensor.name;
  }
}

TEST(ResidencyLarge, ReadsBytesOfMoreThanAChunk) {
  const DrawnModel model = DrawnModel::of_bytes({5'000'000});
  const std::unique_ptr<BlockDevice> device = make_sim_device({});
  const std::unique_ptr<Residency> residency =
      *Residency::create(model.index(), {.homes = {{}}}, *device);
  std::vector<std::byte> bytes(4'500'001);
  ASSERT_TRUE(residency->read_bytes(TensorId{0}, 77, bytes.data(), bytes.size()).ok());
  const TensorInfo& tensor = model.index().tensors()[0];
  const FileRange range{tensor.shard, tensor.offset + 77, bytes.size()};
  EXPECT_TRUE(model.matches(bytes.data(), range));
}

// Forty runs: every other tensor, with two blocks between them.
TEST(ResidencyLoading, ShowsProgressAndStops) {
  GgufBytes file;
  file.text("general.architecture", "tiny");
  Layout layout;
  for (int i = 0; i < 80; ++i) {
    file.tensor({.name = "t" + std::to_string(i), .ne = {2048}, .bytes = 8192});
    layout.homes.push_back({.home = i % 2 == 0 ? Home::pinned : Home::unused});
  }
  const DrawnModel model({file});
  for (const bool stop : {false, true}) {
    const std::unique_ptr<BlockDevice> device = make_sim_device({});
    const std::unique_ptr<Residency> residency =
        *Residency::create(model.index(), layout, *device);
    int reports = 0;
    const Status status = residency->load_pinned([&](uint64_t, uint64_t) {
      ++reports;
      return !stop;
    });
    EXPECT_EQ(device->in_flight(), 0u) << "nobody writes to the memory any more";
    if (stop) {
      EXPECT_EQ(status.code(), StatusCode::interrupted);
      EXPECT_LT(residency->stats().bytes_read, uint64_t{10 * 8192}) << "the rest is not read";
    } else {
      EXPECT_TRUE(status.ok());
      EXPECT_GE(reports, 5);
    }
  }
}

// Not simulated: what threads and the kernel do between our calls.
TEST(ResidencyLoading, WorksOnRealDevices) {
  const DrawnModel model = DrawnModel::of_bytes({3'000'000});
  const TensorInfo& tensor = model.index().tensors()[0];
  for (const bool allow_uring : {true, false}) {
    const std::unique_ptr<BlockDevice> device =
        make_block_device({.depth = 8, .allow_uring = allow_uring});
    Reader reader = *Reader::open(model.index(), *device, {.chunk_bytes = 65536});
    std::vector<FileRange> pieces;
    for (uint64_t i = 0; i < 7; ++i) {
      pieces.push_back({.offset = tensor.offset + i * 400'003, .bytes = 300'000 + i});
    }
    const std::unique_ptr<DenseRing> ring =
        *DenseRing::create(reader, pieces, 4, widened_bytes(300'006));
    const std::unique_ptr<SlicePool> pool = *SlicePool::create(
        reader, {.slice_bytes = 50'001,
                 .slots = 9,
                 .packed = true,
                 .staging_slots = 4,
                 .sources = {{.offset = tensor.offset + 5, .count = 50}}});
    for (uint32_t i = 0; i < 100; ++i) {
      const Lease slice = *pool->request(0, i * 7 % 50, ReadClass::demand);
      {
        const Result<DenseRing::PieceLease> piece = ring->acquire(i % 7);
        ASSERT_TRUE(piece.ok());
        EXPECT_TRUE(model.matches(piece->data(), pieces[i % 7])) << device->name() << ", " << i;
      }
      ASSERT_TRUE(pool->wait(slice).ok());
      EXPECT_TRUE(model.matches(pool->base(0) + slice.slot().value * pool->stride(),
                                FileRange{.offset = tensor.offset + 5 + i * 7 % 50 * 50'001,
                                          .bytes = 50'001}));
    }
  }
}

// A run of more bytes than are read at once.
TEST(ResidencyLoading, JoinsThePartsOfARun) {
  const DrawnModel model = DrawnModel::of_bytes({70'000'000});
  const std::unique_ptr<BlockDevice> device = make_sim_device({});
  const std::unique_ptr<Residency> residency =
      *Residency::create(model.index(), {.homes = {{.home = Home::pinned}}}, *device);
  ASSERT_TRUE(residency->load_pinned(nullptr).ok());
  EXPECT_TRUE(model.matches(residency->pinned(TensorId{0}), model.index().tensors()[0]));
}

TEST_F(ResidencyTest, SaysWhichFileCannotBeRead) {
  create({.faults = {.eio_permanent = 1}});
  const Status failed = residency_->load_pinned(nullptr);
  EXPECT_EQ(failed.code(), StatusCode::failed);
  EXPECT_NE(failed.message().find("of-00003.gguf"), std::string::npos) << failed.message();
  EXPECT_NE(failed.message().find("Input/output error"), std::string::npos) << failed.message();
  EXPECT_EQ(device_->in_flight(), 0u);
}

TEST_F(ResidencyTest, SaysThatAFileShrank) {
  create();
  model_.shrink(2, 1000);
  const Status failed = residency_->load_pinned(nullptr);
  EXPECT_EQ(failed.code(), StatusCode::failed);
  EXPECT_NE(failed.message().find("file shrank"), std::string::npos) << failed.message();
  EXPECT_NE(failed.message().find("m-00003-of-00003.gguf"), std::string::npos) << failed.message();
}

TEST_F(ResidencyTest, SaysWhichFileIsMissing) {
  model_.remove(1);
  const std::unique_ptr<BlockDevice> device = make_sim_device({});
  const Status status = Residency::create(model_.index(), layout_, *device).status();
  EXPECT_EQ(status.code(), StatusCode::failed);
  EXPECT_NE(status.to_string().find("m-00002-of-00003.gguf"), std::string::npos);
  EXPECT_NE(status.to_string().find("No such file"), std::string::npos) << status.to_string();
}

TEST_F(ResidencyTest, PinsTheBytesUnderEveryMildFault) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    residency_.reset();
    create(draw_device(seed));
    const Status status = residency_->load_pinned(nullptr);
    if (status.ok()) {
      expect_pinned();
    } else {
      EXPECT_NE(status.message().find("read failed"), std::string::npos) << status.message();
    }
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace hypura
