#include <algorithm>
#include <optional>
#include <string_view>

#include "model/shard_names.h"
#include "store/model_name.h"
#include "store/remote_model.h"

namespace hypura {
namespace {

constexpr std::string_view kSuffix = ".gguf";

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() && text[i] == '%' ? digit_of(text[i + 1]) : -1;
    const int low = high >= 0 ? digit_of(text[i + 2]) : -1;
    decoded += low >= 0 ? static_cast<char>(high * 16 + low) : text[i];
    if (low >= 0) i += 2;
  }
  return decoded;
}

// The last part of the path, with what no name has made into hyphens.
std::string name_of_url(std::string_view path) {
  std::string name = percent_decoded(path.substr(path.rfind('/') + 1));
  if (const std::optional<ShardName> shard = parse_shard_name(name)) {
    name = shard->prefix;
  } else if (name.ends_with(kSuffix)) {
    name.resize(name.size() - kSuffix.size());
  }
  for (char& c : name) {
    const bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '_' || c == '-';
    if (!fine) c = '-';
  }
  return name_of_stem(name);
}

}  // namespace

RemoteModel remote_file(const std::string& url) {
  std::string place = url.substr(0, url.find_first_of("?#"));
  const std::string query = url.substr(place.size());
  if (const size_t page = place.find("/blob/");
      page != std::string::npos && place.starts_with("https://huggingface.co/")) {
    place.replace(page, 6, "/resolve/");
  }
  RemoteModel model{.name = name_of_url(place), .url = place + query};
  for (const std::string& shard : shards_of(place)) {
    model.shards.push_back({.url = shard + query});
  }
  return model;
}

}  // namespace hypura
