#include "cli/store/model_words.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hypura::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(ModelWords, TimesAgo) {
  const auto ago = [](int64_t seconds) { return time_ago(0, seconds * kSecond); };
  EXPECT_EQ(ago(-5), "in the future");
  EXPECT_EQ(ago(0), "just now");
  EXPECT_EQ(ago(60), "1 minute ago");
  EXPECT_EQ(ago(7199), "1 hour ago");
  EXPECT_EQ(ago(3 * 86400), "3 days ago");
  EXPECT_EQ(ago(21 * 86400), "3 weeks ago");
  EXPECT_EQ(ago(800 * 86400), "2 years ago");
}

TEST(ModelWords, ATableThatControlsNoTerminal) {
  StoredModel model{.name = "a\x1b[2J", .bytes = 5 << 20, .digest = std::string(64, 'f')};
  const std::string table = models_table({model, {.name = "b"}}, 0);
  EXPECT_EQ(table,
            "NAME   ID                  SIZE  MODIFIED         OF\n"
            "a?[2J  ffffffffffff     5.0 MiB  just now         hypura\n"
            "b      -                    0 B  just now         hypura\n");
}

TEST(ModelWords, Json) {
  const StoredModel model{.name = "a", .path = "/a", .bytes = 7, .modified_ns = 86'400 * kSecond};
  const nlohmann::json object = model_json(model);
  EXPECT_EQ(object["modified"], "1970-01-02T00:00:00Z");
  EXPECT_EQ(object["source"], "folder");
  EXPECT_EQ(object["bytes"], 7);
}

}  // namespace
}  // namespace hypura::cli
