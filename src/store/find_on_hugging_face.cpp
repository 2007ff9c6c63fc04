#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/units.h"
#include "model/printable.h"
#include "model/shard_names.h"
#include "store/digest.h"
#include "store/model_name.h"
#include "store/remote_model.h"

namespace hypura {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kListBytesMax = 16 * kMiB;
constexpr std::string_view kSuffix = ".gguf";
constexpr std::string_view kUsual = "q4_k_m";
constexpr size_t kTagsShown = 12;

using Files = std::map<std::string, RemoteFile>;  // by path

struct Candidate {
  std::string tag;   // the quantization
  std::string stem;  // of the file
  std::vector<RemoteFile> shards;
};

// As it stands in an address; slashes stay.
std::string percent_encoded(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
    if (plain) encoded += c;
    else encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

// The GGUF files of a list of entries such as
// {"type": "file", "path": "a.gguf", "size": 9, "lfs": {"oid": SHA-256}}.
Files parse_list(const Json& list, const std::string& address) {
  Files files;
  for (const Json& entry : list) {
    if (!entry.is_object() || !entry.contains("path") || !entry["path"].is_string()) continue;
    const std::string path = entry["path"].get<std::string>();
    if (!path.ends_with(kSuffix) || !check_name(path).ok()) continue;
    RemoteFile file{.url = address + percent_encoded(path)};
    if (entry.contains("size") && entry["size"].is_number_unsigned()) {
      file.bytes = entry["size"].get<uint64_t>();
    }
    if (entry.contains("lfs") && entry["lfs"].is_object()) {
      const std::string hash = entry["lfs"].value("oid", Json()).is_string()
                                   ? entry["lfs"]["oid"].get<std::string>()
                                   : std::string();
      if (is_sha256(hash)) file.sha256 = hash;
    }
    files.emplace(path, std::move(file));
  }
  return files;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Complete models, in the order of their files.
std::vector<Candidate> candidates_among(const Files& files) {
  std::vector<Candidate> candidates;
  for (const auto& [path, file] : files) {
    const std::optional<ShardName> shard = parse_shard_name(path);
    if (is_projector(file_name(path)) || (shard && shard->number != 1)) continue;
    Candidate candidate;
    candidate.stem =
        file_name(shard ? shard->prefix : path.substr(0, path.size() - kSuffix.size()));
    candidate.tag = quantization_of_stem(candidate.stem);
    bool complete = true;
    for (const std::string& one : shards_of(path)) {
      const auto found = files.find(one);
      complete = complete && found != files.end();
      if (complete) candidate.shards.push_back(found->second);
    }
    if (complete) candidates.push_back(std::move(candidate));
  }
  return candidates;
}

const Candidate* choose(const std::vector<Candidate>& candidates, const std::string& wanted) {
  const std::string tag = lower_case(wanted.empty() ? kUsual : wanted);
  for (const Candidate& candidate : candidates) {
    if (lower_case(candidate.tag) == tag || lower_case(candidate.stem) == tag) return &candidate;
  }
  return wanted.empty() && candidates.size() == 1 ? &candidates.front() : nullptr;
}

std::string tags_of(const std::vector<Candidate>& candidates) {
  std::string tags;
  for (size_t i = 0; i < std::min(candidates.size(), kTagsShown); ++i) {
    tags += (i == 0 ? ":" : ", :") + printable(candidates[i].tag);
  }
  return candidates.size() > kTagsShown ? tags + ", ..." : tags;
}

// Of several, the one of 16 bits, which all models can use.
std::optional<RemoteFile> projector_among(const Files& files) {
  std::optional<RemoteFile> chosen;
  for (const auto& [path, file] : files) {
    if (!is_projector(file_name(path))) continue;
    if (!chosen || lower_case(path).ends_with("-f16.gguf")) chosen = file;
  }
  return chosen;
}

}  // namespace

Result<RemoteModel> find_on_hugging_face(const std::string& base, const std::string& name,
                                         const HttpSettings& settings) {
  if (const Result<std::string> stem = stem_of_name(name); !stem.ok()) return stem.status();
  const size_t colon = name.find(':');
  const std::string repository = name.substr(0, colon);
  std::string wanted = colon == std::string::npos ? "" : name.substr(colon + 1);
  if (wanted == "latest") wanted.clear();
  const Result<std::string> text = http_text(
      {.url = fmt::format("{}/api/models/{}/tree/main?recursive=true", base, repository)}, settings,
      kListBytesMax);
  if (!text.ok()) return text.status();
  const Json list = Json::parse(*text, nullptr, false);
  if (!list.is_array()) {
    return Status(StatusCode::failed,
                  fmt::format("the list of {}'s files makes no sense", repository))
        .because("it begins with " + printable(text->substr(0, 40)));
  }
  const Files files = parse_list(list, fmt::format("{}/{}/resolve/main/", base, repository));
  const std::vector<Candidate> candidates = candidates_among(files);
  const Candidate* const chosen = choose(candidates, wanted);
  if (chosen == nullptr) {
    Status refused(StatusCode::invalid_argument,
                   wanted.empty() ? fmt::format("{} has several models, or none", repository)
                                  : fmt::format("{} has no {}", repository, printable(wanted)));
    if (candidates.empty()) return std::move(refused).because("it has no GGUF files");
    return std::move(refused).suggest("one of " + tags_of(candidates));
  }
  return RemoteModel{.name = repository + ":" + chosen->tag,
                     .url = chosen->shards.front().url,
                     .shards = chosen->shards,
                     .projector = projector_among(files)};
}

}  // namespace hypura
