#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/model_index.h"

namespace hypura {

// The first bytes of a model's shards, up to their weights, and how large the files are: all that
// planning needs of a model that is not here.
struct ModelHeader {
  struct ShardHeader {
    std::string name;  // of the file, without its folder
    uint64_t file_bytes = 0;
    std::string bytes;
  };
  std::vector<ShardHeader> shards;
};

// As a file: the magic "HYPURAHD", a version and the number of shards (uint32, little-endian), for
// each shard its file's bytes and its header's bytes (uint64), its name's bytes (uint32) and its
// name; then the headers. No GGUF reader takes it for a model.
inline constexpr std::string_view kHeaderMagic = "HYPURAHD";
std::string to_bytes(const ModelHeader& header);
// Errors: invalid_model, with the place. Takes no more memory than `bytes` has.
Result<ModelHeader> parse_header(std::string_view bytes, const std::string& path);

// Whether a file starts with the magic. False also for what cannot be read.
bool is_header_file(const std::string& path);
Result<ModelHeader> read_header_file(const std::string& path);

// The headers of a model that is here.
Result<ModelHeader> header_of(const ModelIndex& index);

// The model as files of its true size whose weights are holes, in a temporary folder that the
// destructor removes: llama.cpp and the index read them like any other. Takes the headers' bytes on
// the drive, and would compute nonsense. Move-only.
class HollowModel {
 public:
  static Result<HollowModel> create(const ModelHeader& header);
  HollowModel(HollowModel&& other) noexcept;
  HollowModel& operator=(HollowModel&&) = delete;
  ~HollowModel();

  // Of the first shard.
  const std::string& path() const { return path_; }

 private:
  explicit HollowModel(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
  std::string path_;
};

}  // namespace hypura
