#include "model/header_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "model/gguf_bounds.h"
#include "model/model_file.h"

namespace hypura {
namespace {

constexpr uint32_t kVersion = 1;
constexpr uint32_t kShardsMax = 1024;
constexpr uint32_t kNameBytesMax = 255;
constexpr uint64_t kFileBytesMax = uint64_t{1} << 50;
constexpr uint64_t kHeaderFileBytesMax = 2 * kMetadataBytesMax;

template <class Integer>
void append(std::string& bytes, Integer value) {
  for (size_t i = 0; i < sizeof(value); ++i) bytes += static_cast<char>(value >> (8 * i));
}

// Takes values from the front of what is left; asking for more than that is a fault.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : left_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return left_.size(); }
  template <class Integer>
  Integer integer() {
    const std::string_view taken = text(sizeof(Integer));
    Integer value = 0;
    for (size_t i = 0; i < taken.size(); ++i) {
      value |= static_cast<Integer>(static_cast<uint8_t>(taken[i])) << (8 * i);
    }
    return value;
  }
  std::string_view text(uint64_t size) {
    if (!ok_ || size > left_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }

 private:
  std::string_view left_;
  bool ok_ = true;
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Status cannot(const char* verb, const std::string& path) {
  return Status(StatusCode::failed, fmt::format("cannot {} {}", verb, path))
      .because(std::strerror(errno));
}

Status write_hollow(const std::string& path, const ModelHeader::ShardHeader& shard) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return cannot("create", path);
  Status status;
  size_t written = 0;
  while (status.ok() && written < shard.bytes.size()) {
    const ssize_t count = ::write(fd, shard.bytes.data() + written, shard.bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) status = cannot("write", path);
    if (count >= 0) written += static_cast<size_t>(count);
  }
  if (status.ok() && ::ftruncate(fd, static_cast<off_t>(shard.file_bytes)) != 0) {
    status = cannot("extend", path);
  }
  ::close(fd);
  return status;
}

}  // namespace

std::string to_bytes(const ModelHeader& header) {
  std::string bytes(kHeaderMagic);
  append(bytes, kVersion);
  append(bytes, static_cast<uint32_t>(header.shards.size()));
  for (const ModelHeader::ShardHeader& shard : header.shards) {
    append(bytes, shard.file_bytes);
    append(bytes, uint64_t{shard.bytes.size()});
    append(bytes, static_cast<uint32_t>(shard.name.size()));
    bytes += shard.name;
  }
  for (const ModelHeader::ShardHeader& shard : header.shards) bytes += shard.bytes;
  return bytes;
}

Result<ModelHeader> parse_header(std::string_view bytes, const std::string& path) {
  Cursor cursor(bytes);
  if (cursor.text(kHeaderMagic.size()) != kHeaderMagic) {
    return invalid_model(path, "it is no saved header");
  }
  const uint32_t version = cursor.integer<uint32_t>();
  if (!cursor.ok() || version != kVersion) {
    return invalid_model(
        path, fmt::format("a saved header of version {}, known is {}", version, kVersion));
  }
  const uint32_t count = cursor.integer<uint32_t>();
  if (!cursor.ok() || count == 0 || count > kShardsMax) {
    return invalid_model(path, fmt::format("a saved header of {} shards", count));
  }
  ModelHeader header;
  std::vector<uint64_t> sizes;
  for (uint32_t i = 0; i < count; ++i) {
    ModelHeader::ShardHeader shard;
    shard.file_bytes = cursor.integer<uint64_t>();
    sizes.push_back(cursor.integer<uint64_t>());
    shard.name = cursor.text(cursor.integer<uint32_t>());
    const bool known_name =
        std::any_of(header.shards.begin(), header.shards.end(),
                    [&](const auto& other) { return other.name == shard.name; });
    if (!cursor.ok() || !is_plain_name(shard.name) || known_name || sizes.back() == 0 ||
        shard.file_bytes < sizes.back() || shard.file_bytes > kFileBytesMax) {
      return invalid_model(path, fmt::format("shard {} of the saved header makes no sense", i + 1));
    }
    header.shards.push_back(std::move(shard));
  }
  for (uint32_t i = 0; i < count; ++i) header.shards[i].bytes = cursor.text(sizes[i]);
  if (!cursor.ok() || cursor.left() > 0) {
    return invalid_model(path, "the saved header is cut off, or has more than it says");
  }
  return header;
}

bool is_header_file(const std::string& path) {
  const Result<ModelFile> file = ModelFile::open(path);
  std::array<char, kHeaderMagic.size()> magic{};
  return file.ok() && file->bytes() >= magic.size() &&
         file->read_at(0, magic.data(), magic.size()).ok() &&
         std::string_view(magic.data(), magic.size()) == kHeaderMagic;
}

Result<ModelHeader> read_header_file(const std::string& path) {
  const Result<ModelFile> file = ModelFile::open(path);
  if (!file.ok()) return file.status();
  if (file->bytes() > kHeaderFileBytesMax) {
    return invalid_model(path, fmt::format("a saved header of {} bytes, the most are {}",
                                           file->bytes(), kHeaderFileBytesMax));
  }
  std::string bytes(file->bytes(), '\0');
  if (Status status = file->read_at(0, bytes.data(), bytes.size()); !status.ok()) return status;
  return parse_header(bytes, path);
}

Result<ModelHeader> header_of(const ModelIndex& index) {
  ModelHeader header;
  for (const Shard& shard : index.shards()) {
    const Result<ModelFile> file = ModelFile::open(shard.path);
    if (!file.ok()) return file.status();
    ModelHeader::ShardHeader& own = header.shards.emplace_back();
    own.name = std::filesystem::path(shard.path).filename().string();
    own.file_bytes = shard.bytes;
    own.bytes.resize(shard.data_offset);
    if (Status status = file->read_at(0, own.bytes.data(), own.bytes.size()); !status.ok()) {
      return status;
    }
  }
  return header;
}

Result<HollowModel> HollowModel::create(const ModelHeader& header) {
  std::error_code error;
  std::string folder =
      (std::filesystem::temp_directory_path(error) / "hypura-model-XXXXXX").string();
  if (error || ::mkdtemp(folder.data()) == nullptr) return cannot("create", folder);
  HollowModel model(folder);
  model.path_ = folder + "/" + header.shards.front().name;
  for (const ModelHeader::ShardHeader& shard : header.shards) {
    if (Status status = write_hollow(folder + "/" + shard.name, shard); !status.ok()) return status;
  }
  return model;
}

HollowModel::HollowModel(HollowModel&& other) noexcept
    : folder_(std::exchange(other.folder_, std::string())), path_(std::move(other.path_)) {}

HollowModel::~HollowModel() {
  if (folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace hypura
