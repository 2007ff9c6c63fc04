#include "cli/chat/message_lines.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

TEST(MessageLines, ALineIsAMessage) {
  MessageLines lines;
  EXPECT_TRUE(lines.add("Hello"));
  EXPECT_FALSE(lines.begun());
  EXPECT_EQ(lines.take(), "Hello");
}

TEST(MessageLines, ABackslashContinues) {
  MessageLines lines;
  EXPECT_FALSE(lines.add("one\\"));
  EXPECT_TRUE(lines.begun());
  EXPECT_TRUE(lines.add("two"));
  EXPECT_EQ(lines.take(), "one\ntwo");
}

TEST(MessageLines, QuotesHoldLinesAsTheyAre) {
  MessageLines lines;
  EXPECT_FALSE(lines.add("\"\"\""));
  EXPECT_FALSE(lines.add("int a;\\"));
  EXPECT_FALSE(lines.add(""));
  EXPECT_FALSE(lines.add("\tint b;"));
  EXPECT_TRUE(lines.add("\"\"\""));
  EXPECT_EQ(lines.take(), "int a;\\\n\n\tint b;\n");
  EXPECT_TRUE(lines.add("\"\"\"one line\"\"\""));
  EXPECT_EQ(lines.take(), "one line");
}

TEST(MessageLines, WhatIsTakenBeginsAnew) {
  MessageLines lines;
  EXPECT_FALSE(lines.add("\"\"\"half"));
  EXPECT_EQ(lines.take(), "half");
  EXPECT_FALSE(lines.begun());
  EXPECT_TRUE(lines.add("whole"));
  EXPECT_EQ(lines.take(), "whole");
}

}  // namespace
}  // namespace hypura::cli
