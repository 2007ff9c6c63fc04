#include "cli/plan/fetch_header.h"

#include <fmt/format.h>

#include <charconv>
#include <exception>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/units.h"
#include "http.h"
#include "model/gguf_bounds.h"
#include "model/model_file.h"
#include "model/shard_names.h"

namespace hypura::cli {
namespace {

constexpr uint64_t kFirstBytes = 4 * kMiB;
constexpr int kSeconds = 30;  // for an answer to begin, and between its parts
constexpr int kRedirectsMax = 5;

Status refuse(const std::string& url, const std::string& what) {
  return Status(StatusCode::failed, fmt::format("cannot fetch {}", url))
      .because(what)
      .suggest(
          "where the file is: hypura inspect MODEL --save-header FILE, and name that FILE here");
}

struct Part {
  std::string bytes;
  uint64_t file_bytes = 0;  // of the whole file
};

// "bytes 0-4194303/9050000000"
bool parse_total(const std::string& range, uint64_t& total) {
  const size_t slash = range.find('/');
  if (slash == std::string::npos) return false;
  const char* begin = range.data() + slash + 1;
  const char* end = range.data() + range.size();
  const auto [stop, error] = std::from_chars(begin, end, total);
  return error == std::errc() && stop == end && total > 0;
}

Result<Part> fetch(const std::string& url, uint64_t bytes) {
  auto [client, parts] = common_http_client(url);
  client.set_connection_timeout(kSeconds);
  client.set_read_timeout(kSeconds);
  client.set_follow_location(true);
  Part part;
  int status = 0;
  std::string range;
  // A server that answers with the whole file is cut off after what was asked for.
  const auto result = client.Get(
      parts.path, {{"Range", fmt::format("bytes=0-{}", bytes - 1)}},
      [&](const httplib::Response& response) {
        status = response.status;
        range = response.get_header_value("Content-Range");
        return status == 206;
      },
      [&](const char* data, size_t size) {
        part.bytes.append(data, size);
        return part.bytes.size() <= bytes;
      });
  if (status == 200) return refuse(url, "the server does not send parts of files");
  if (status != 0 && status != 206)
    return refuse(url, fmt::format("the server answers {}", status));
  if (!result) return refuse(url, httplib::to_string(result.error()));
  if (!parse_total(range, part.file_bytes)) {
    return refuse(url, "the server does not say how large the file is");
  }
  return part;
}

// Whether what was fetched holds the whole header: nothing in it claims to lie behind its end.
Status check_complete(const ModelHeader::ShardHeader& shard) {
  const Result<HollowModel> cut = HollowModel::create(
      {.shards = {{.name = shard.name, .file_bytes = shard.bytes.size(), .bytes = shard.bytes}}});
  if (!cut.ok()) return cut.status();
  const Result<ModelFile> file = ModelFile::open(cut->path());
  return file.ok() ? check_gguf_bounds(*file) : file.status();
}

Result<ModelHeader::ShardHeader> fetch_shard(const std::string& url) {
  ModelHeader::ShardHeader shard;
  shard.name = std::filesystem::path(url.substr(0, url.find('?'))).filename().string();
  if (shard.name.empty()) return refuse(url, "the address names no file");
  for (uint64_t bytes = kFirstBytes;; bytes *= 2) {
    Result<Part> part = fetch(url, bytes);
    if (!part.ok()) return part.status();
    shard.file_bytes = part->file_bytes;
    shard.bytes = std::move(part->bytes);
    const Status complete = check_complete(shard);
    if (complete.ok()) return shard;
    if (shard.bytes.size() >= shard.file_bytes || bytes >= kMetadataBytesMax) {
      return Status(complete.code(), fmt::format("{}: its header is no GGUF's", url))
          .because(complete.message());
    }
  }
}

}  // namespace

bool is_url(const std::string& model) {
  return model.starts_with("http://") || model.starts_with("https://");
}

Result<ModelHeader> fetch_header(const std::string& url) {
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
  if (url.starts_with("https:")) return refuse(url, "this build cannot encrypt (no https)");
#endif
  try {
    std::vector<std::string> urls = {url};
    if (std::optional<ShardName> name = parse_shard_name(url)) {
      urls.clear();
      for (name->number = 1; name->number <= name->count; ++name->number) {
        urls.push_back(to_path(*name));
      }
    }
    ModelHeader header;
    for (const std::string& one : urls) {
      Result<ModelHeader::ShardHeader> shard = fetch_shard(one);
      if (!shard.ok()) return shard.status();
      header.shards.push_back(*std::move(shard));
    }
    return header;
  } catch (const std::exception& error) {  // common_http_client on an address it cannot take
    return refuse(url, error.what());
  }
}

}  // namespace hypura::cli
