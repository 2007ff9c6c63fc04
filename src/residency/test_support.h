#pragma once

// For tests only.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/units.h"
#include "io/sim_device.h"
#include "io/test_support.h"
#include "model/gguf_bytes_for_test.h"
#include "model/model_index.h"
#include "residency/reader.h"

namespace hypura {

// A model whose weights are drawn bytes: one file, or a split one if there are more. Its files go
// with the object.
class DrawnModel {
 public:
  explicit DrawnModel(std::vector<GgufBytes> shards) {
    const uint16_t count = static_cast<uint16_t>(shards.size());
    HYPURA_CHECK(count < 10);
    uint32_t tensors = 0;
    for (const GgufBytes& shard : shards) tensors += static_cast<uint32_t>(shard.tensor_count);
    for (uint16_t number = 0; number < count; ++number) {
      GgufBytes& shard = shards[number];
      if (count > 1) {
        if (number == 0) shard.number("split.tensors.count", tensors);
        shard.key("split.no", 2, GgufBytes::raw(number));
        shard.key("split.count", 2, GgufBytes::raw(count));
      }
      const std::string of = "-of-0000" + std::to_string(count);
      std::string bytes = shard.build();
      draw(bytes, round_up(shard.header().size(), GgufBytes::kAlignment), number);
      paths_.push_back(
          directory_.write("m-0000" + std::to_string(number + 1) + of + ".gguf", bytes));
      contents_.push_back(std::move(bytes));
    }
    Result<ModelIndex> index = ModelIndex::open(paths_[0]);
    if (!index.ok()) std::fputs(index.status().to_string().c_str(), stderr);
    index_ = std::make_unique<ModelIndex>(*std::move(index));
  }

  // Shards that hold at least so many bytes, for slices that mean nothing.
  static DrawnModel of_bytes(std::initializer_list<uint32_t> shard_bytes) {
    std::vector<GgufBytes> shards;
    for (const uint32_t bytes : shard_bytes) {
      GgufBytes file;
      if (shards.empty()) file.text("general.architecture", "tiny");
      file.tensor({.name = "t" + std::to_string(shards.size()),
                   .ne = {(bytes + 3) / 4},
                   .bytes = round_up(bytes, 4)});
      shards.push_back(std::move(file));
    }
    return DrawnModel(std::move(shards));
  }

  const ModelIndex& index() const { return *index_; }
  const TensorInfo& tensor(std::string_view name) const { return index_->tensor(id(name)); }
  TensorId id(std::string_view name) const { return *index_->find(name); }
  uint64_t shard_bytes(uint32_t shard) const { return contents_[shard].size(); }

  // The dumb reference: whether `data` holds what the file does.
  bool matches(const std::byte* data, const FileRange& range) const {
    return range.offset + range.bytes <= contents_[range.shard].size() &&
           std::memcmp(data, contents_[range.shard].data() + range.offset, range.bytes) == 0;
  }
  bool matches(const std::byte* data, const TensorInfo& tensor) const {
    return matches(data, {tensor.shard, tensor.offset, tensor.bytes});
  }

  void shrink(uint32_t shard, uint64_t bytes) const {
    std::filesystem::resize_file(paths_[shard], bytes);
  }
  void restore(uint32_t shard) const {
    std::ofstream(paths_[shard], std::ios::binary) << contents_[shard];
  }
  void remove(uint32_t shard) const { std::filesystem::remove(paths_[shard]); }

 private:
  static void draw(std::string& bytes, size_t from, uint32_t seed) {
    std::mt19937_64 generator(seed);
    for (; from < bytes.size(); from += sizeof(uint64_t)) {
      const uint64_t drawn = generator();
      std::memcpy(&bytes[from], &drawn, std::min(sizeof drawn, bytes.size() - from));
    }
  }

  TestDirectory directory_;
  std::vector<std::string> paths_;
  std::vector<std::string> contents_;
  std::unique_ptr<ModelIndex> index_;  // moves without a change of address
};

// A simulated device that gives up on a test that never stops looking at it.
class BoundedDevice final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;

  size_t reap(std::span<ReadResult> results, bool wait) override {
    HYPURA_CHECK(++looks_ < kLooksMax);
    return ForwardingDevice::reap(results, wait);
  }

 private:
  static constexpr uint64_t kLooksMax = 1'000'000;
  uint64_t looks_ = 0;
};

// What a device does to reads in a seeded storm.
inline SimOptions draw_device(uint64_t seed) {
  return {.seed = seed,
          .depth = 1 + static_cast<uint32_t>(seed % 11),
          .latency_ns = seed % 3 == 0 ? 0u : 1000u,
          .reorder = seed % 4 != 0,
          .faults = {.eio = 0.1,
                     .eio_permanent = seed % 2 == 0 ? 0.0 : 0.05,
                     .short_read = 0.3,
                     .eintr = 0.1,
                     .latency_spike = 0.05}};
}

// Draws below a limit.
class Draw {
 public:
  explicit Draw(uint64_t seed) : generator_(seed) {}
  uint32_t below(uint64_t limit) { return static_cast<uint32_t>(generator_() % limit); }

 private:
  std::mt19937_64 generator_;
};

}  // namespace hypura
