#include "server/http/event_reader.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(EventReader, PiecesMayBeCutAnywhere) {
  const std::string stream =
      ": comment\n\ndata: {\"a\":1}\n\nevent: x\r\ndata:b\r\n\r\ndata: [DONE]\n\n";
  const std::vector<std::string> expected = {"{\"a\":1}", "b", "[DONE]"};
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    EventReader reader;
    std::vector<std::string> events = reader.push(stream.substr(0, cut));
    for (std::string& event : reader.push(stream.substr(cut))) events.push_back(std::move(event));
    EXPECT_EQ(events, expected) << cut;
  }
}

TEST(EventReader, WhatHasNotEndedIsNoEvent) {
  EventReader reader;
  EXPECT_TRUE(reader.push("data: a").empty());
  EXPECT_EQ(reader.push("\n"), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace hypura
