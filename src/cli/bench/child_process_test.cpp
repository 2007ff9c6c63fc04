#include "cli/bench/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace hypura::cli {
namespace {

using std::chrono::milliseconds;

ChildOptions shell(const std::string& script, milliseconds timeout = milliseconds(20'000)) {
  return {.words = {"/bin/sh", "-c", script}, .timeout = timeout};
}

ChildOutcome run(const ChildOptions& options) {
  Result<ChildOutcome> outcome = run_child(options);
  EXPECT_TRUE(outcome.ok()) << outcome.status().to_string();
  return *std::move(outcome);
}

TEST(ChildProcess, TellsHowItEndedAndWhatItSaid) {
  const ChildOutcome outcome = run(shell("echo answer; echo note >&2; cat; exit 7"));
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_EQ(outcome.out, "answer\n") << "its input is empty";
  EXPECT_EQ(outcome.err, "note\n");
  EXPECT_GT(outcome.peak_resident_bytes, 0u);
  EXPECT_FALSE(outcome.timed_out);
}

TEST(ChildProcess, WordsArriveAsTheyAre) {
  const ChildOutcome outcome =
      run({.words = {"/bin/echo", "two words", "", "$HOME"}, .timeout = milliseconds(20'000)});
  EXPECT_EQ(outcome.out, "two words  $HOME\n");
}

TEST(ChildProcess, LongOutputIsBounded) {
  EXPECT_EQ(run(shell("head -c 3000000 /dev/zero")).out.size(), 3'000'000u);
  EXPECT_EQ(run(shell("head -c 70000000 /dev/zero")).out.size(), kChildOutputMax);
}

TEST(ChildProcess, ATimeoutInterruptsFirst) {
  const ChildOutcome outcome = run(
      shell("trap 'echo summary; exit 130' INT; while :; do sleep 0.01; done", milliseconds(200)));
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 130);
  EXPECT_EQ(outcome.out, "summary\n");
  EXPECT_LT(outcome.seconds, 10);
}

TEST(ChildProcess, WhoIgnoresTheInterruptIsKilled) {
  ChildOptions options = shell("trap '' INT; while :; do sleep 0.01; done", milliseconds(100));
  options.grace = milliseconds(200);
  const ChildOutcome outcome = run(options);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.signal, SIGKILL);
  EXPECT_LT(outcome.seconds, 10);
}

TEST(ChildProcess, AStopKillsItAndItsChildren) {
  std::atomic<bool> stop = false;
  ChildOptions options = shell("echo started; sleep 1000 & wait");
  options.stop = &stop;
  std::jthread user([&] {
    std::this_thread::sleep_for(milliseconds(200));
    stop = true;
  });
  const ChildOutcome outcome = run(options);
  EXPECT_TRUE(outcome.stopped);
  EXPECT_EQ(outcome.signal, SIGKILL);
  EXPECT_EQ(outcome.out, "started\n");
  EXPECT_LT(outcome.seconds, 10);
}

TEST(ChildProcess, AProgramThatIsNotThereIsAnError) {
  const Result<ChildOutcome> outcome = run_child({.words = {"/nonexistent/program"}});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.status().message(),
            "cannot run /nonexistent/program: No such file or directory");
}

TEST(ChildProcess, AGroupThatIsNotThereIsAnError) {
  ChildOptions options = shell("true");
  options.group_entry = "/nonexistent/cgroup.procs";
  EXPECT_FALSE(run_child(options).ok());
}

TEST(ChildProcess, KnowsItsOwnProgram) {
  const ChildOutcome outcome =
      run({.words = {own_program(), "--gtest_list_tests"}, .timeout = milliseconds(20'000)});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("ChildProcess.\n"), std::string::npos);
}

}  // namespace
}  // namespace hypura::cli
