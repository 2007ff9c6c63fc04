#include "server/http/rules.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(HttpRules, ALoopbackServerAnswersToItsOwnNames) {
  const HttpRules rules;
  for (const char* host : {"localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", ""}) {
    EXPECT_TRUE(is_own_host(rules, host)) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8080", "localhost.evil.example",
                           "127.0.0.1.evil.example"}) {
    EXPECT_FALSE(is_own_host(rules, host)) << host;
  }
  EXPECT_TRUE(is_own_host({.host = "0.0.0.0"}, "my-machine:8080"));
}

TEST(HttpRules, OnlyOwnPagesMayAskUnlessOneIsAllowed) {
  const HttpRules own;
  EXPECT_TRUE(is_allowed_origin(own, "", "localhost:8080"));
  EXPECT_TRUE(is_allowed_origin(own, "http://localhost:8080", "localhost:8080"));
  EXPECT_FALSE(is_allowed_origin(own, "http://localhost:3000", "localhost:8080"));
  EXPECT_FALSE(is_allowed_origin(own, "https://evil.example", "localhost:8080"));
  EXPECT_FALSE(is_allowed_origin(own, "null", "localhost:8080"));
  const HttpRules one{.cors_origin = "http://localhost:3000"};
  EXPECT_TRUE(is_allowed_origin(one, "http://localhost:3000", "localhost:8080"));
  EXPECT_FALSE(is_allowed_origin(one, "http://localhost:3001", "localhost:8080"));
  EXPECT_TRUE(is_allowed_origin({.cors_origin = "*"}, "https://any.example", "localhost:8080"));
}

TEST(HttpRules, AKeyOpensWhatIsNotOpen) {
  const HttpRules rules{.api_key = "secret"};
  EXPECT_EQ(judge(rules, {}, true), Verdict::allowed);
  EXPECT_EQ(judge(rules, {}, false), Verdict::wrong_key);
  EXPECT_EQ(judge(rules, {.authorization = "Bearer secret"}, false), Verdict::allowed);
  EXPECT_EQ(judge(rules, {.api_key = "secret"}, false), Verdict::allowed);
  for (const char* key : {"Bearer secre", "Bearer secrets", "secret", "bearer secret", "Bearer "}) {
    EXPECT_EQ(judge(rules, {.authorization = key}, false), Verdict::wrong_key) << key;
  }
}

}  // namespace
}  // namespace hypura
