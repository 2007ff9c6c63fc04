#include "cli/plan/history_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace hypura::cli {
namespace {

PastRun run(uint32_t tokens) {
  return {.kind = {.profile = "0123456789abcdef", .model = "fedcba9876543210"},
          .date = "2026-11-22T20:10:00Z",
          .tokens = tokens,
          .decode = {.predicted_tps = 7, .actual_tps = 6}};
}

class HistoryFile : public testing::Test {
 protected:
  HistoryFile() {
    std::string path = "./hypura_history_test.XXXXXX";
    root_ = ::mkdtemp(path.data());
    path_ = root_ + "/a/history/runs.json";
  }
  ~HistoryFile() override { std::filesystem::remove_all(root_); }

  void write(const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
    std::ofstream(path_) << text;
  }
  size_t kept() {
    const Result<std::vector<PastRun>> runs = read_history(path_);
    EXPECT_TRUE(runs.ok()) << runs.status().to_string();
    return runs.ok() ? runs->size() : 0;
  }
  long files() {
    return std::distance(
        std::filesystem::directory_iterator(std::filesystem::path(path_).parent_path()), {});
  }
  std::string root_;
  std::string path_;
};

TEST_F(HistoryFile, NoFileIsNoHistory) {
  EXPECT_EQ(kept(), 0u);
  EXPECT_TRUE(past_runs(path_).empty());
  EXPECT_TRUE(past_runs("").empty());
  EXPECT_FALSE(std::filesystem::exists(root_ + "/a")) << "reading makes nothing";
}

TEST_F(HistoryFile, IsARingInOneFile) {
  for (uint32_t i = 0; i < kPastRunsMax + 5; ++i) ASSERT_TRUE(append_run(path_, run(i)).ok());
  const std::vector<PastRun> runs = past_runs(path_);
  ASSERT_EQ(runs.size(), kPastRunsMax);
  EXPECT_EQ(runs.front().tokens, 5u);
  EXPECT_EQ(runs.back().tokens, kPastRunsMax + 4);
  EXPECT_LT(std::filesystem::file_size(path_), kHistoryBytesMax);
  EXPECT_EQ(files(), 1) << "no lock, nothing unfinished";
}

TEST_F(HistoryFile, ProcessesThatWriteAtOnceLoseNothing) {
  constexpr int kProcesses = 4;
  constexpr int kRuns = 12;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool ok = true;
      for (int i = 0; i < kRuns; ++i) ok = append_run(path_, run(1)).ok() && ok;
      ::_exit(ok ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(kept(), static_cast<size_t>(kProcesses * kRuns));
  EXPECT_EQ(files(), 1);
}

TEST_F(HistoryFile, WhatIsNoHistoryIsSaidAndReplaced) {
  for (const std::string& text : {std::string("{\"schema\": 7}"), std::string("\x1b[31m"),
                                 std::string(kHistoryBytesMax * 2, '[')}) {
    write(text);
    const Result<std::vector<PastRun>> runs = read_history(path_);
    ASSERT_FALSE(runs.ok());
    EXPECT_NE(runs.status().message().find(path_), std::string::npos);
    EXPECT_EQ(runs.status().why().find('\x1b'), std::string::npos);
    EXPECT_TRUE(past_runs(path_).empty());
    ASSERT_TRUE(append_run(path_, run(3)).ok());
    EXPECT_EQ(kept(), 1u);
  }
}

TEST_F(HistoryFile, OnlyAFileIsReadOrReplaced) {
  std::filesystem::create_directories(path_);
  EXPECT_EQ(read_history(path_).status().why(), "it is no regular file");
  EXPECT_EQ(append_run(path_, run(1)).why(), "it is no regular file");
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(read_history(path_).status().why(), "it is no regular file");
  EXPECT_EQ(append_run(path_, run(1)).why(), "it is no regular file");
}

TEST_F(HistoryFile, AFolderThatCannotBeIsSaid) {
  std::ofstream(root_ + "/a") << "x";
  const Status status = append_run(path_, run(1));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find(path_), std::string::npos);
  EXPECT_EQ(status.why(), "Not a directory");
}

}  // namespace
}  // namespace hypura::cli
