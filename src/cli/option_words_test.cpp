#include "cli/option_words.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

using Words = std::vector<std::string>;

CommandDescription description() {
  return {.options = {{.names = {"--port"}, .value = "N"}, {.names = {"--quick", "-q"}}},
          .llama_options = {{.names = {"-c", "--ctx-size"}, .value = "N"}}};
}

TEST(OptionWords, ValuesStayWithTheirOptions) {
  const OptionWords apart =
      take_apart({"a.gguf", "--port", "80", "-q", "b.gguf", "-c", "9", "--port=81"}, description());
  EXPECT_EQ(apart.words, (Words{"a.gguf", "b.gguf"}));
  ASSERT_EQ(apart.options.size(), 4);
  EXPECT_EQ(apart.options[0].words, (Words{"--port", "80"}));
  EXPECT_EQ(apart.options[1].name, "-q");
  EXPECT_EQ(apart.options[2].words, (Words{"-c", "9"}));
  EXPECT_EQ(apart.options[3].name, "--port");
  EXPECT_EQ(apart.options[3].words, (Words{"--port=81"}));
}

TEST(OptionWords, ValuesMayLookLikeOptions) {
  const OptionWords apart = take_apart({"-c", "-1", "-"}, description());
  ASSERT_EQ(apart.options.size(), 1);
  EXPECT_EQ(apart.options[0].words, (Words{"-c", "-1"}));
  EXPECT_EQ(apart.words, (Words{"-"}));
}

TEST(OptionWords, AnOptionAtTheEndHasNoValue) {
  const OptionWords apart = take_apart({"--port"}, description());
  ASSERT_EQ(apart.options.size(), 1);
  EXPECT_EQ(apart.options[0].words, (Words{"--port"}));
}

}  // namespace
}  // namespace hypura::cli
