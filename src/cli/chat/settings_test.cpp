#include "cli/chat/settings.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

using Words = std::vector<std::string>;

TEST(ChatSettings, ParametersChangeTheSampler) {
  ChatSettings settings;
  EXPECT_TRUE(change_setting({"parameter", "temperature", "0.25"}, settings).ok());
  EXPECT_TRUE(change_setting({"parameter", "top_k", "7"}, settings).ok());
  EXPECT_TRUE(change_setting({"parameter", "seed", "42"}, settings).ok());
  EXPECT_TRUE(change_setting({"parameter", "num_predict", "9"}, settings).ok());
  EXPECT_FLOAT_EQ(settings.sampling.temp, 0.25f);
  EXPECT_EQ(settings.sampling.top_k, 7);
  EXPECT_EQ(settings.sampling.seed, 42u);
  EXPECT_EQ(settings.predict_max, 9);
  EXPECT_TRUE(change_setting({"parameter", "seed", "-1"}, settings).ok());
  EXPECT_EQ(settings.sampling.seed, LLAMA_DEFAULT_SEED);
}

TEST(ChatSettings, SwitchesAreOnOrOff) {
  ChatSettings settings;
  EXPECT_TRUE(change_setting({"think", "off"}, settings).ok());
  EXPECT_TRUE(change_setting({"verbose", "on"}, settings).ok());
  EXPECT_FALSE(settings.thinking);
  EXPECT_TRUE(settings.verbose);
}

TEST(ChatSettings, NonsenseChangesNothing) {
  ChatSettings settings;
  const std::string before = settings_text(settings);
  for (const Words& words : std::vector<Words>{
           {},
           {"parameter"},
           {"parameter", "temperature"},
           {"parameter", "temperature", "warm"},
           {"parameter", "temperature", "nan"},
           {"parameter", "temperature", "-1"},
           {"parameter", "top_k", "1.5"},
           {"parameter", "top_p", "2"},
           {"parameter", "seed", "4294967295"},
           {"think", "perhaps"},
           {"silent", "on"}}) {
    EXPECT_EQ(change_setting(words, settings).code(), StatusCode::invalid_argument);
    EXPECT_EQ(settings_text(settings), before);
  }
  EXPECT_NE(change_setting({"parameter", "temprature", "1"}, settings).to_string().find(
                "did you mean temperature?"),
            std::string::npos);
}

}  // namespace
}  // namespace hypura::cli
