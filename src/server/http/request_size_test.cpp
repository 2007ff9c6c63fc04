#include "server/http/request_size.h"

#include <gtest/gtest.h>

#include <string>

namespace hypura {
namespace {

TEST(RequestSize, IsNotKnownBeforeTheHeadIsComplete) {
  const std::string request = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";
  for (size_t count = 0; count < request.size() - 4; ++count) {
    EXPECT_FALSE(request_size(request.substr(0, count)).has_value()) << count;
  }
  const auto size = request_size(request);
  ASSERT_TRUE(size.has_value());
  EXPECT_EQ(size->head_bytes, request.size() - 4);
  EXPECT_EQ(size->body_bytes, 4);
}

TEST(RequestSize, WithoutALengthThereIsNoBody) {
  EXPECT_EQ(request_size("GET / HTTP/1.1\r\nHost: a\r\n\r\n")->body_bytes, 0);
}

TEST(RequestSize, NamesHaveNoCase) {
  EXPECT_EQ(request_size("POST / HTTP/1.1\r\ncontent-LENGTH:\t12\r\n\r\n")->body_bytes, 12);
}

TEST(RequestSize, OfPiecesIsNotKnown) {
  for (const char* line : {"transfer-encoding: chunked", "Expect: 100-continue"}) {
    const auto size = request_size("POST / HTTP/1.1\r\nContent-Length: 9\r\n" + std::string(line) +
                                   "\r\n\r\n");
    ASSERT_TRUE(size.has_value());
    EXPECT_FALSE(size->body_bytes.has_value()) << line;
  }
}

TEST(RequestSize, WhatIsNoNumberIsForTheParser) {
  for (const char* value : {"-1", "x", "99999999999999999999999", ""}) {
    EXPECT_EQ(request_size("POST / HTTP/1.1\r\nContent-Length: " + std::string(value) + "\r\n\r\n")
                  ->body_bytes,
              0)
        << value;
  }
}

}  // namespace
}  // namespace hypura
