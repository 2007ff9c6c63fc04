#include "cli/completion/typed_value.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

using Words = std::vector<std::string>;
using Paths = TypedValue::Paths;

TEST(TypedValue, AlternativesInLowerCaseAreTypedAsTheyAre) {
  EXPECT_EQ(typed_value("SIZE|NN%|auto|min").words, (Words{"auto", "min"}));
  EXPECT_EQ(typed_value("SIZE|auto|0").words, (Words{"auto", "0"}));
  EXPECT_EQ(typed_value("TYPE|auto|f16|q8_0").words, (Words{"auto", "f16", "q8_0"}));
}

TEST(TypedValue, LlamaCppWritesThemInBrackets) {
  EXPECT_EQ(typed_value("[on|off|auto]").words, (Words{"on", "off", "auto"}));
  EXPECT_EQ(typed_value("{none,linear,yarn}").words, (Words{"none", "linear", "yarn"}));
  EXPECT_EQ(typed_value("{pca, mean}").words, (Words{"pca", "mean"}));
  EXPECT_EQ(typed_value("<0|1>").words, (Words{"0", "1"}));
}

TEST(TypedValue, WhatStandsForSomethingIsNotTyped) {
  for (const char* text : {"", "N", "lo-hi", "<0...100>", "<user>/<model>[:quant]", "n0,n1,...",
                           "<dev1,dev2,..>", "KEY=TYPE:VALUE,...", "+16G-ram,7GB/s"}) {
    EXPECT_TRUE(typed_value(text).nothing()) << text;
  }
}

TEST(TypedValue, PathsHaveKinds) {
  EXPECT_EQ(typed_value("FNAME").paths, Paths::files);
  EXPECT_EQ(typed_value("NAME|FILE").paths, Paths::files);
  EXPECT_EQ(typed_value("DIR").paths, Paths::folders);
  EXPECT_EQ(typed_value("MODEL...").paths, Paths::models);
  const TypedValue draft = typed_value("MODEL|lookup");
  EXPECT_EQ(draft.paths, Paths::models);
  EXPECT_EQ(draft.words, Words{"lookup"});
  EXPECT_TRUE(typed_value("COMMAND").commands);
}

}  // namespace
}  // namespace hypura::cli
