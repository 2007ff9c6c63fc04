#include "store/pull_local.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/units.h"
#include "model/model_file.h"
#include "model/printable.h"
#include "store/digest.h"
#include "store/folder_files.h"
#include "store/own_files.h"
#include "store/pull_place.h"
#include "store/remote_model.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPieceBytes = kMiB;

Status check_magic(const std::string& path) {
  const Result<ModelFile> file = ModelFile::open(path);
  if (!file.ok()) return file.status();
  std::array<char, 4> magic{};
  if (file->bytes() < magic.size()) return invalid_model(path, "it is no GGUF file");
  if (Status status = file->read_at(0, magic.data(), magic.size()); !status.ok()) return status;
  if (std::string_view(magic.data(), magic.size()) == "GGUF") return Status();
  return invalid_model(path, "it is no GGUF file");
}

Result<std::string> hash_of(const std::string& path, const PullOptions& options) {
  const Result<ModelFile> file = ModelFile::open(path);
  if (!file.ok()) return file.status();
  Sha256 hash;
  std::string piece(kPieceBytes, '\0');
  for (uint64_t at = 0; at < file->bytes();) {
    if (options.http.stop != nullptr && options.http.stop->load()) {
      return Status(StatusCode::interrupted, "interrupted");
    }
    const size_t bytes = std::min<uint64_t>(piece.size(), file->bytes() - at);
    if (Status status = file->read_at(at, piece.data(), bytes); !status.ok()) return status;
    hash.add(std::string_view(piece.data(), bytes));
    at += bytes;
  }
  return hash.hex();
}

std::string projector_beside(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  for (const FoundModel& model : models_among(folder, files_of(folder).files)) {
    if (model.path == path) return model.projector_path;
  }
  return std::string();
}

Status take_files(const std::string& first, const PullPlace& place, const Sidecar& sidecar) {
  std::vector<FileCopy> files;
  const std::string projector = projector_beside(first);
  if (!projector.empty()) files.push_back({projector, place.own.projector()});
  for (const std::string& shard : shards_of(first)) {
    files.push_back({shard, place.own.model_like(shard)});
  }
  if (Status status = make_all(files, link_or_copy); !status.ok()) return status;
  Status status = write_sidecar(place.own.sidecar(), sidecar);
  if (!status.ok()) remove_own(place.own, first);
  return status;
}

void tell(const PullOptions& options, const std::string& status) {
  if (options.tell) options.tell({.status = status});
}

}  // namespace

Result<StoredModel> pull_local(const ModelStore& store, const std::string& path,
                               const PullOptions& options) {
  std::error_code error;
  const std::string first = fs::canonical(path, error).string();
  if (error) {
    return Status(StatusCode::failed,
                  fmt::format("cannot open {}: {}", printable(path), error.message()));
  }
  Sidecar sidecar{.url = "file://" + first};
  const Result<PullPlace> place = place_for(store, remote_file(path).name, options);
  if (!place.ok()) return place.status();
  const Result<Here> here = compare(*place, sidecar.url, options.sha256);
  if (!here.ok()) return here.status();
  if (*here == Here::same) return *place->existing;
  if (*here == Here::older) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} is here with another SHA-256, or none", place->name))
        .suggest(fmt::format("hypura rm {} before", place->name));
  }
  for (const std::string& shard : shards_of(first)) {
    if (Status status = check_magic(shard); !status.ok()) return status;
    sidecar.bytes += fs::file_size(shard, error);
  }
  if (!options.sha256.empty()) {
    tell(options, "verifying sha256 digest");
    const Result<std::string> actual = hash_of(first, options);
    if (!actual.ok()) return actual.status();
    if (*actual != options.sha256) return wrong_hash(path, *actual, options.sha256);
    sidecar.sha256 = *actual;
  }
  tell(options, "copying " + fs::path(first).filename().string());
  fs::create_directories(place->folder(), error);
  if (Status status = take_files(first, *place, sidecar); !status.ok()) return status;
  tell(options, "success");
  return store.find(place->name);
}

}  // namespace hypura
