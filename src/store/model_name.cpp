#include "store/model_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/shard_names.h"

namespace hypura {
namespace {

constexpr size_t kNameBytesMax = 255;
constexpr std::string_view kLatest = ":latest";
constexpr std::string_view kColonInFiles = "--";
constexpr std::array<std::string_view, 2> kHuggingFace = {"hf.co/", "huggingface.co/"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Only what may be shown: a name may hold anything.
Status refuse(std::string_view name, const std::string& why) {
  std::string shown(name.substr(0, 64));
  std::replace_if(shown.begin(), shown.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return Status(StatusCode::invalid_argument, fmt::format("\"{}\" is no name of a model", shown))
      .because(why)
      .suggest("names look like llama3.2:3b or org/repo:Q4_K_M; hypura list shows those here");
}

bool has_bad_part(std::string_view name) {
  while (true) {
    const size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    if (part.empty() || part == "." || part == "..") return true;
    if (end == name.size()) return false;
    name.remove_prefix(end + 1);
  }
}

// Q4_K_M, IQ2_XXS, TQ1_0, F16, BF16, MXFP4, MXFP4_MOE, Q4_0_4_4.
bool is_quantization(std::string_view text) {
  const std::string lower = lower_case(text);
  std::string_view rest = lower;
  for (const std::string_view start : {"mxfp", "nvfp", "bf", "fp", "iq", "tq", "f", "q"}) {
    if (!rest.starts_with(start)) continue;
    rest.remove_prefix(start.size());
    const bool plain = start.back() == 'f' || start.back() == 'p';
    size_t digits = 0;
    while (digits < rest.size() && is_digit(rest[digits])) ++digits;
    rest.remove_prefix(digits);
    return digits > 0 && (rest.empty() || rest[0] == '_') && (!plain || digits <= 2);
  }
  return false;
}

std::string_view without(std::string_view text, std::string_view ending) {
  return text.ends_with(ending) ? text.substr(0, text.size() - ending.size()) : text;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

Status check_name(std::string_view name) {
  if (name.empty()) return refuse(name, "it is empty");
  if (name.size() > kNameBytesMax) {
    return refuse(name,
                  fmt::format("it has {} bytes, the most are {}", name.size(), kNameBytesMax));
  }
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\') {
      return refuse(name, "it has control characters or backslashes");
    }
  }
  if (has_bad_part(name)) return refuse(name, "it is a path, or a part of it is missing");
  return Status();
}

std::string name_key(std::string_view name) {
  std::string key = lower_case(name);
  if (key.ends_with(kLatest)) key.resize(key.size() - kLatest.size());
  for (const std::string_view host : kHuggingFace) {
    if (key.starts_with(host)) key.erase(0, host.size());
  }
  if (const size_t colon = key.rfind(':'); colon != std::string::npos) {
    key.replace(colon, 1, kColonInFiles);
  }
  return key;
}

Result<std::string> stem_of_name(std::string_view name) {
  if (Status status = check_name(name); !status.ok()) return status;
  std::string_view rest = without(name, kLatest);
  for (const std::string_view host : kHuggingFace) {
    if (rest.starts_with(host)) rest.remove_prefix(host.size());
  }
  std::string stem;
  char before = '/';
  for (const char c : rest) {
    const bool ends = c == ':' || c == '/';
    if (!is_letter(c) && !is_digit(c) && c != '_' && c != '-' && c != '.' && !ends) {
      return refuse(name, "new names have letters, digits and . _ - only");
    }
    const bool starts = before == '/' || before == ':';
    if (starts && (ends || c == '.' || c == '-')) return refuse(name, "a part starts with . or -");
    stem += c == ':' ? kColonInFiles : std::string_view(&c, 1);
    before = c;
  }
  const size_t colon = rest.find(':');
  if (before == ':' || before == '/' || std::count(rest.begin(), rest.end(), '/') > 1 ||
      (colon != std::string_view::npos && rest.find_first_of(":/", colon + 1) != rest.npos)) {
    return refuse(name, "it has too many parts, or one is missing");
  }
  const std::string file = stem + ".gguf";
  if (is_projector(file.substr(file.find('/') + 1)) || parse_shard_name(file).has_value()) {
    return refuse(name, "files of such names are projectors, or parts of models");
  }
  return stem;
}

std::string name_of_stem(std::string_view stem) {
  std::string name(stem);
  const size_t colon = name.rfind(kColonInFiles);
  const size_t slash = name.rfind('/');
  const size_t first = slash == std::string::npos ? 0 : slash + 1;
  if (colon != std::string::npos && colon > first && colon + kColonInFiles.size() < name.size()) {
    name.replace(colon, kColonInFiles.size(), ":");
  }
  return name;
}

std::string quantization_of_stem(std::string_view stem) {
  const size_t start = stem.find_last_of("-.");
  if (start == std::string_view::npos) return std::string(stem);
  const std::string_view last = stem.substr(start + 1);
  if (!is_quantization(last)) return std::string(stem);
  const std::string_view before = stem.substr(0, start);
  // Unsloth's own mixtures are other files of the same types.
  return before.ends_with("-UD") ? "UD-" + std::string(last) : std::string(last);
}

bool is_projector(std::string_view file_name) {
  const std::string lower = lower_case(file_name);
  return lower.ends_with(".gguf") &&
         (lower.starts_with("mmproj") || lower.ends_with(".mmproj.gguf"));
}

}  // namespace hypura
