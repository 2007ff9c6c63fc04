#pragma once

#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hypura {

// GGUF files written byte by byte, without ggml, so that tests can also write wrong ones.
class GgufBytes {
 public:
  static constexpr uint32_t kF32 = 0;
  static constexpr uint32_t kF16 = 1;
  static constexpr uint32_t kQ8_0 = 8;  // 32 elements in 34 bytes
  static constexpr uint64_t kAlignment = 32;

  struct Tensor {
    std::string name;
    std::vector<int64_t> ne;
    uint32_t type = kF32;
    uint64_t bytes = 0;                   // how far the next tensor is moved on
    std::optional<uint64_t> offset = {};  // instead of the one that follows from the others
  };

  template <class T>
  static std::string raw(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string raw_text(std::string_view text) {
    return raw<uint64_t>(text.size()).append(text);
  }

  // `type` is the GGUF type of the value, whose bytes follow.
  GgufBytes& key(std::string_view key, uint32_t type, const std::string& value) {
    keys_ += raw_text(key) + raw(type) + value;
    ++key_count;
    return *this;
  }
  GgufBytes& number(std::string_view name, uint32_t value) { return key(name, 4, raw(value)); }
  GgufBytes& text(std::string_view name, std::string_view value) {
    return key(name, 8, raw_text(value));
  }

  GgufBytes& tensor(const Tensor& tensor) {
    tensors_ += raw_text(tensor.name) + raw(static_cast<uint32_t>(tensor.ne.size()));
    for (const int64_t n : tensor.ne) tensors_ += raw(n);
    tensors_ += raw(tensor.type) + raw(tensor.offset.value_or(data_bytes_));
    data_bytes_ += padding_of(tensor.bytes) + tensor.bytes;
    ++tensor_count;
    return *this;
  }

  std::string header() const {
    return magic + raw(version) + raw(tensor_count) + raw(key_count) + keys_ + tensors_;
  }
  std::string build() const {
    std::string bytes = header();
    bytes.append(padding_of(bytes.size()) + data_bytes_, '\0');
    return bytes;
  }

  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t tensor_count = 0;
  uint64_t key_count = 0;

 private:
  static uint64_t padding_of(uint64_t bytes) {
    return (kAlignment - bytes % kAlignment) % kAlignment;
  }

  std::string keys_;
  std::string tensors_;
  uint64_t data_bytes_ = 0;
};

// A small model with 4 experts, 2 used, whose layer 0 is dense and whose layer 1 is a mixture.
inline GgufBytes tiny_moe() {
  GgufBytes file;
  file.text("general.architecture", "tiny")
      .text("general.name", "Tiny")
      .number("tiny.block_count", 2);
  file.number("tiny.context_length", 128).number("tiny.embedding_length", 32);
  file.number("tiny.expert_count", 4).number("tiny.expert_used_count", 2);
  file.tensor({.name = "token_embd.weight", .ne = {32, 8}, .bytes = 1024});
  file.tensor(
      {.name = "blk.0.ffn_up.weight", .ne = {32, 4}, .type = GgufBytes::kQ8_0, .bytes = 136});
  file.tensor({.name = "blk.1.ffn_gate_inp.weight", .ne = {32, 4}, .bytes = 512});
  file.tensor({.name = "blk.1.ffn_up_exps.weight",
               .ne = {32, 2, 4},
               .type = GgufBytes::kQ8_0,
               .bytes = 272});
  file.tensor({.name = "output_norm.weight", .ne = {32}, .bytes = 128});
  return file;
}

// A directory that goes with its contents when the test ends.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hypura-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  std::string path(std::string_view name) const { return (path_ / name).string(); }
  std::string write(std::string_view name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace hypura
