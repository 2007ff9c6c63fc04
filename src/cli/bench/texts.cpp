#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/bench/report.h"

namespace hypura::cli {
namespace {

// A text may end within a character: at most 3 bytes of UTF-8.
constexpr size_t kCutOffBytes = 3;

struct Told {
  const BenchSample* sample = nullptr;
  std::string who;  // "hypura, sample 2"
};

std::string_view stripped(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

template <class Sequence>
size_t common_length(const Sequence& a, const Sequence& b) {
  const size_t shorter = std::min(a.size(), b.size());
  size_t length = 0;
  while (length < shorter && a[length] == b[length]) ++length;
  return length;
}

// "" if both say the same as far as the shorter goes.
std::string difference(const Told& a, const Told& b) {
  const std::vector<int>& ids_a = a.sample->token_ids;
  const std::vector<int>& ids_b = b.sample->token_ids;
  if (!ids_a.empty() && !ids_b.empty()) {
    const size_t common = common_length(ids_a, ids_b);
    if (common == std::min(ids_a.size(), ids_b.size())) return {};
    return fmt::format("{} and {} differ after {} tokens", a.who, b.who, common);
  }
  const std::string_view text_a = stripped(a.sample->text);
  const std::string_view text_b = stripped(b.sample->text);
  const size_t common = common_length(text_a, text_b);
  if (common + kCutOffBytes >= std::min(text_a.size(), text_b.size())) return {};
  return fmt::format("{} and {} differ after {} bytes", a.who, b.who, common);
}

// All samples that computed the same bits, and said something.
std::vector<Told> told(const std::vector<BenchArm>& arms, bool repacked) {
  std::vector<Told> list;
  for (const BenchArm& arm : arms) {
    for (size_t i = 0; i < arm.samples.size(); ++i) {
      const BenchSample& sample = arm.samples[i];
      if (sample.repacked != repacked || sample.text.empty()) continue;
      list.push_back({.sample = &sample, .who = fmt::format("{}, sample {},", arm.name, i + 1)});
    }
  }
  return list;
}

}  // namespace

TextCheck compare_texts(const std::vector<BenchArm>& arms) {
  size_t compared = 0;
  for (const bool repacked : {false, true}) {
    const std::vector<Told> list = told(arms, repacked);
    // Against the longest one that tells its tokens: what agrees with it agrees with each other.
    const auto reference =
        std::max_element(list.begin(), list.end(), [](const Told& a, const Told& b) {
          return std::pair(a.sample->token_ids.size(), a.sample->text.size()) <
                 std::pair(b.sample->token_ids.size(), b.sample->text.size());
        });
    for (const Told& other : list) {
      if (const std::string found = difference(*reference, other); !found.empty()) {
        return {.agree = false, .message = "Texts DIFFER: " + found + "."};
      }
    }
    compared += list.size();
  }
  if (compared < 2) return {.message = "Texts: nothing to compare."};
  return {.message =
              fmt::format("Texts of all {} samples agree as far as the shorter goes.", compared)};
}

}  // namespace hypura::cli
