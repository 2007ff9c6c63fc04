#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace hypura {
namespace {

TEST(Status, IsOkUnlessTold) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::ok);
  EXPECT_EQ(status.to_string(), "ok");
}

TEST(Status, SaysWhatWhyAndWhatToTry) {
  Status status(StatusCode::does_not_fit, "plan does not fit");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.to_string(), "error: plan does not fit");
  status.because("41 GiB of weights");
  EXPECT_EQ(status.to_string(), "error: plan does not fit\n  why: 41 GiB of weights");
  status.suggest("--ctx 4096");
  EXPECT_EQ(status.to_string(),
            "error: plan does not fit\n  why: 41 GiB of weights\n  try: --ctx 4096");
  EXPECT_EQ(status.message(), "plan does not fit");
  EXPECT_EQ(status.why(), "41 GiB of weights");
  EXPECT_EQ(status.hint(), "--ctx 4096");
}

TEST(Status, IsBuiltInOneExpression) {
  const Status status = Status(StatusCode::failed, "a").suggest("b");
  EXPECT_EQ(status.code(), StatusCode::failed);
  EXPECT_EQ(status.to_string(), "error: a\n  try: b");
}

Result<std::unique_ptr<int>> positive(int value) {
  if (value <= 0) return Status(StatusCode::invalid_argument, "not positive");
  return std::make_unique<int>(value);
}

TEST(Result, IsAValue) {
  Result<std::unique_ptr<int>> result = positive(7);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result.status().ok());
  EXPECT_EQ(**result, 7);
  const std::unique_ptr<int> moved = *std::move(result);
  EXPECT_EQ(*moved, 7);
}

TEST(Result, OrAStatus) {
  const Result<std::unique_ptr<int>> result = positive(0);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(result.status().message(), "not positive");
}

TEST(Result, GivesAccessToMembers) {
  Result<std::string> result = std::string("abc");
  result->push_back('d');
  const Result<std::string>& constant = result;
  EXPECT_EQ(constant->size(), 4u);
  EXPECT_EQ(*constant, "abcd");
}

TEST(ResultDeathTest, StopsAtOurBugs) {
  const Result<std::unique_ptr<int>> failed = positive(0);
  EXPECT_DEATH((void)*failed, "has_value");
  EXPECT_DEATH((void)Result<int>(Status()), "status_.ok");
}

}  // namespace
}  // namespace hypura
