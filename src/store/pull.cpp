#include "store/pull.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/units.h"
#include "model/printable.h"
#include "store/digest.h"
#include "store/pull_local.h"
#include "store/pull_place.h"
#include "store/remote_model.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFile = "file://";

bool is_path(const std::string& what) {
  return what.starts_with("/") || what.starts_with("./") || what.starts_with("../") ||
         what.ends_with(".gguf");
}

bool take_prefix(std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

Result<RemoteModel> find_remote(std::string what, const PullOptions& options,
                                const HttpSettings& http) {
  if (what.starts_with("http://") || what.starts_with("https://")) return remote_file(what);
  if (take_prefix(what, "ollama.com/") || take_prefix(what, "registry.ollama.ai/")) {
    take_prefix(what, "library/");
    return find_at_ollama(options.ollama, what, http);
  }
  const bool hugging_face = take_prefix(what, "hf.co/") || take_prefix(what, "huggingface.co/");
  if (hugging_face || what.find('/') != std::string::npos) {
    return find_on_hugging_face(options.hugging_face, what, http);
  }
  return find_at_ollama(options.ollama, what, http);
}

void tell(const PullOptions& options, const std::string& status) {
  if (options.tell) options.tell({.status = status});
}

// Gives all files their names and tells of them; what was there before goes.
Status store_files(const ModelStore& store, const PullPlace& place,
                   std::vector<DownloadedFile>& files, const std::string& first,
                   const Sidecar& sidecar) {
  std::error_code ignored;
  if (place.existing.has_value() && place.existing->source == ModelSource::folder &&
      place.existing->path != first) {
    if (Status status = store.remove(place.existing->name); !status.ok()) return status;
  }
  fs::remove(place.own.sidecar(), ignored);
  for (DownloadedFile& file : files) {
    if (Status status = file.file.finish(); !status.ok()) return status;
  }
  return write_sidecar(place.own.sidecar(), sidecar);
}

// The model's first shard is the first.
std::vector<DownloadFile> targets_of(const RemoteModel& remote, const OwnFiles& own) {
  std::vector<DownloadFile> targets;
  const auto add = [&targets](const RemoteFile& file, const std::string& path) {
    targets.push_back({.url = file.url, .path = path, .sha256 = file.sha256, .bytes = file.bytes});
  };
  for (const RemoteFile& shard : remote.shards) {
    add(shard, own.model_like(shard.url.substr(0, shard.url.find_first_of("?#"))));
  }
  if (remote.projector.has_value()) add(*remote.projector, own.projector());
  return targets;
}

// For what is not here yet of an earlier pull. Makes the folder.
Status check_room_for(const std::vector<DownloadFile>& targets, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  uint64_t bytes = 0;
  for (const DownloadFile& target : targets) {
    const uint64_t here = fs::file_size(target.path + ".partial", error);
    bytes += saturating_subtract(target.bytes, error ? 0 : here);
  }
  return check_room(folder, bytes);
}

Result<StoredModel> pull_remote(const ModelStore& store, const std::string& what,
                                const PullOptions& options) {
  HttpSettings http = options.http;
  http.token_origin = options.hugging_face;
  tell(options, "pulling manifest");
  Result<RemoteModel> remote = find_remote(what, options, http);
  if (!remote.ok()) return remote.status();
  if (!options.sha256.empty()) {
    if (remote->shards.size() != 1) {
      return Status(StatusCode::invalid_argument, "a SHA-256 is that of one file")
          .because(fmt::format("the model has {}", remote->shards.size()));
    }
    remote->shards.front().sha256 = options.sha256;
  }
  const Result<PullPlace> place = place_for(store, remote->name, options);
  if (!place.ok()) return place.status();
  const Result<Here> here = compare(*place, remote->url, remote->shards.front().sha256);
  if (!here.ok()) return here.status();
  if (*here == Here::same) {
    tell(options, "success");
    return *place->existing;
  }
  const std::vector<DownloadFile> targets = targets_of(*remote, place->own);
  if (Status status = check_room_for(targets, place->folder()); !status.ok()) return status;

  std::vector<DownloadedFile> files;
  Sidecar sidecar{.url = remote->url, .texts = std::move(remote->texts)};
  for (const DownloadFile& target : targets) {
    Result<DownloadedFile> done = download(target, http, options.tell);
    if (!done.ok()) return done.status();
    if (sidecar.sha256.empty()) sidecar.sha256 = done->sha256;
    if (target.path != place->own.projector()) sidecar.bytes += done->file.bytes();
    files.push_back(*std::move(done));
  }
  tell(options, "writing manifest");
  Status status = store_files(store, *place, files, targets.front().path, sidecar);
  if (!status.ok()) return status;
  tell(options, "success");
  return store.find(place->name);
}

}  // namespace

Result<StoredModel> pull(const ModelStore& store, const std::string& what,
                         const PullOptions& options) {
  if (!options.sha256.empty() && !is_sha256(options.sha256)) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} is no SHA-256", printable(options.sha256)))
        .suggest("64 hexadecimal digits, in lower case");
  }
  const bool file_url = what.starts_with(kFile);
  const bool address = what.starts_with("http://") || what.starts_with("https://");
  const bool local = file_url || (!address && is_path(what));
  if (options.names_only && (local || address)) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} cannot be pulled by a request", printable(what)))
        .suggest("a name like llama3.2:3b or hf.co/org/repo:Q4_K_M; or hypura pull");
  }
  if (!local) return pull_remote(store, what, options);
  return pull_local(store, file_url ? what.substr(kFile.size()) : what, options);
}

}  // namespace hypura
