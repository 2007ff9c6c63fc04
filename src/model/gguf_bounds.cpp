#include "model/gguf_bounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <vector>

namespace hypura {
namespace {

constexpr uint32_t kStringType = 8;
constexpr uint32_t kArrayType = 9;
// Bytes of a value of each GGUF type; 0 where the value has its own length.
constexpr std::array<uint8_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr uint32_t kDimensionsMax = 4;
constexpr size_t kBufferBytes = 64 * kKiB;

// Reads forward through the header. After the first error, which status() keeps, every read gives 0
// and nothing moves; loops must check ok().
class HeaderWalk {
 public:
  explicit HeaderWalk(const ModelFile& file)
      : file_(file), limit_(std::min(file.bytes(), kMetadataBytesMax)), buffer_(kBufferBytes) {}

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }

  template <class T>
  T read() {
    T value = 0;
    if (!claim(sizeof(T)) || !fill(sizeof(T))) return 0;
    std::memcpy(&value, buffer_.data() + (position_ - buffer_start_), sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  void skip(uint64_t bytes) {
    if (claim(bytes)) position_ += bytes;
  }

  void skip_string() { skip(read<uint64_t>()); }

  void fail(const std::string& what) {
    if (ok()) status_ = invalid_model(file_.path(), what);
  }

 private:
  // Whether the next `bytes` lie inside the file and the metadata limit.
  bool claim(uint64_t bytes) {
    if (!ok()) return false;
    if (bytes <= limit_ - position_) return true;
    if (limit_ == file_.bytes()) {
      fail(fmt::format("metadata claims {} bytes at byte {}, the file has {}", bytes, position_,
                       file_.bytes()));
      status_.suggest("the download may be incomplete: fetch the file again");
    } else {
      fail(fmt::format("metadata is larger than {}", format_bytes(kMetadataBytesMax)));
    }
    return false;
  }

  // Makes the buffer hold the next `bytes`. REQUIRES: claim(bytes).
  bool fill(size_t bytes) {
    if (position_ >= buffer_start_ && position_ + bytes <= buffer_end_) return true;
    const size_t size = static_cast<size_t>(std::min<uint64_t>(kBufferBytes, limit_ - position_));
    buffer_start_ = position_;
    buffer_end_ = position_ + size;
    status_ = file_.read_at(position_, buffer_.data(), size);
    return ok();
  }

  const ModelFile& file_;
  const uint64_t limit_;
  uint64_t position_ = 0;
  uint64_t buffer_start_ = 0;
  uint64_t buffer_end_ = 0;
  std::vector<char> buffer_;
  Status status_;
};

uint64_t multiply_or_max(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

void skip_array(HeaderWalk& walk) {
  const uint32_t type = walk.read<uint32_t>();
  const uint64_t count = walk.read<uint64_t>();
  if (type == kStringType) {
    for (uint64_t i = 0; i < count && walk.ok(); ++i) walk.skip_string();
  } else if (type >= kValueBytes.size() || type == kArrayType) {
    walk.fail(fmt::format("an array has elements of the unknown type {}", type));
  } else {
    walk.skip(multiply_or_max(count, kValueBytes[type]));
  }
}

void skip_value(HeaderWalk& walk) {
  const uint32_t type = walk.read<uint32_t>();
  if (type == kStringType) {
    walk.skip_string();
  } else if (type == kArrayType) {
    skip_array(walk);
  } else if (type >= kValueBytes.size()) {
    walk.fail(fmt::format("a metadata value has the unknown type {}", type));
  } else {
    walk.skip(kValueBytes[type]);
  }
}

void skip_tensor(HeaderWalk& walk) {
  walk.skip_string();
  const uint32_t dimensions = walk.read<uint32_t>();
  if (dimensions > kDimensionsMax) {
    walk.fail(
        fmt::format("a tensor has {} dimensions, the most is {}", dimensions, kDimensionsMax));
    return;
  }
  walk.skip(dimensions * sizeof(int64_t) + sizeof(int32_t) + sizeof(uint64_t));
}

std::string describe_bytes(const char* bytes, size_t count) {
  std::string hex;
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const unsigned char c = static_cast<unsigned char>(bytes[i]);
    hex += fmt::format("{}{:02x}", i == 0 ? "" : " ", c);
    text += std::isprint(c) ? bytes[i] : '.';
  }
  return fmt::format("{} \"{}\"", hex, text);
}

Status check_magic(const ModelFile& file) {
  char magic[4] = {};
  const size_t size = static_cast<size_t>(std::min<uint64_t>(sizeof(magic), file.bytes()));
  if (Status status = file.read_at(0, magic, size); !status.ok()) return status;
  if (size == sizeof(magic) && std::memcmp(magic, "GGUF", sizeof(magic)) == 0) return {};
  return invalid_model(file.path(), "not a GGUF file")
      .because("it starts with " + describe_bytes(magic, size))
      .suggest("models in GGUF start with \"GGUF\"; other formats need converting first");
}

void check_version(HeaderWalk& walk, uint32_t version) {
  if (version == 2 || version == 3) return;
  const bool swapped = version != 0 && (version & 0xffff) == 0;
  walk.fail(fmt::format("GGUF version {} is not supported, only 2 and 3{}", version,
                        swapped ? "; it looks big-endian" : ""));
}

void check_count(HeaderWalk& walk, const char* what, uint64_t count, uint64_t most) {
  if (count > most)
    walk.fail(fmt::format("the header claims {} {}, the most is {}", count, what, most));
}

}  // namespace

Status check_gguf_bounds(const ModelFile& file) {
  if (Status status = check_magic(file); !status.ok()) return status;

  HeaderWalk walk(file);
  walk.skip(4);
  check_version(walk, walk.read<uint32_t>());
  const uint64_t tensor_count = walk.read<uint64_t>();
  const uint64_t key_count = walk.read<uint64_t>();
  check_count(walk, "tensors", tensor_count, kTensorsPerFileMax);
  check_count(walk, "metadata keys", key_count, kKeysPerFileMax);

  for (uint64_t i = 0; i < key_count && walk.ok(); ++i) {
    walk.skip_string();
    skip_value(walk);
  }
  for (uint64_t i = 0; i < tensor_count && walk.ok(); ++i) skip_tensor(walk);
  return walk.status();
}

}  // namespace hypura
