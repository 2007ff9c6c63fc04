#include "server/batch/batch_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace hypura {
namespace {

class BatchFile : public testing::Test {
 protected:
  // A folder each: tests of this file run beside each other.
  BatchFile() {
    std::string folder = testing::TempDir() + "hypura-batch-file-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    path_ = folder_ + "/x.jsonl";
  }
  ~BatchFile() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  std::string content() {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  std::string path_;
};

const std::string kChat =
    R"("method":"POST","url":"/v1/chat/completions","body":{"model":"m","stream":true}})";

TEST_F(BatchFile, RequestsComeInOrderWithoutStreaming) {
  const auto requests =
      read_batch(write(R"({"custom_id":"a",)" + kChat + "\n\n" + R"({"custom_id":"b",)" + kChat));
  ASSERT_TRUE(requests.ok()) << requests.status().to_string();
  ASSERT_EQ(requests->size(), 2u);
  EXPECT_EQ((*requests)[0].custom_id, "a");
  EXPECT_EQ((*requests)[1].line, 3u);
  EXPECT_EQ((*requests)[1].model, "m");
  EXPECT_EQ((*requests)[1].body, R"({"model":"m"})");
}

TEST_F(BatchFile, ALineThatIsNoRequestIsNamed) {
  const std::string good = R"({"custom_id":"a",)" + kChat + "\n";
  const std::vector<std::string> bad_lines = {
      "{",
      "[]",
      "{}",
      good,
      R"({"custom_id":"b","method":"GET","url":"/v1/models","body":{}})",
      R"({"custom_id":"b","method":"POST","url":"/v1/x","body":3})",
      R"({"custom_id":"b","method":"POST","body":{}})",
  };
  for (const std::string& bad : bad_lines) {
    const auto requests = read_batch(write(good + bad));
    ASSERT_FALSE(requests.ok()) << bad;
    EXPECT_EQ(requests.status().code(), StatusCode::invalid_argument);
    EXPECT_NE(requests.status().message().find("line 2"), std::string::npos) << bad;
  }
  EXPECT_EQ(read_batch(folder_ + "/none").status().code(), StatusCode::failed);
}

TEST_F(BatchFile, OnlySuccessesOfAnEarlierRunAreKept) {
  const BatchRequest a{.custom_id = "a", .url = "/v1/chat/completions"};
  const BatchRequest b{.custom_id = "b", .url = "/v1/chat/completions"};
  const std::string done = answer_line(a, {.status_code = 200, .body = R"({"id":"x"})"});
  const std::string failed = answer_line(b, {.status_code = 500, .body = "no JSON"});
  EXPECT_NE(done.find(R"("request_id":"x","body":{"id":"x"})"), std::string::npos) << done;
  write(failed + done + R"({"custom_id":"c","respo)");
  const auto answered = keep_answered(path_);
  ASSERT_TRUE(answered.ok()) << answered.status().to_string();
  EXPECT_EQ(answered->size(), 1u);
  EXPECT_TRUE(answered->contains("a"));
  EXPECT_EQ(content(), done);
}

TEST_F(BatchFile, AFileOfSomebodyElseIsLeftAlone) {
  write("my letters\nto you\n");
  EXPECT_EQ(keep_answered(path_).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(content(), "my letters\nto you\n");
  EXPECT_TRUE(keep_answered(folder_ + "/none").ok());
}

}  // namespace
}  // namespace hypura
