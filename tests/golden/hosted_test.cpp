// The plug-in's device under llama.cpp's plain path: logits equal those of the same path without
// it, for every architecture that test-llama-archs writes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/llama_log.h"
#include "ggml-backend.h"
#include "golden/arch_models.h"
#include "golden/golden.h"
#include "plugin/plugin.h"

namespace hypura::golden {
namespace {

Result<Trace> run_plain(const Script& script) {
  Result<std::unique_ptr<Engine>> engine = Engine::open(resident_options(script));
  if (!engine.ok()) return engine.status();
  return run_script(**engine, script);
}

// What `work` says on stderr.
std::string said(const std::string& file, const std::function<void()>& work) {
  const int before = dup(STDERR_FILENO);
  if (std::freopen(file.c_str(), "w", stderr) == nullptr) return std::string();
  work();
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  std::ifstream text(file);
  return std::string(std::istreambuf_iterator<char>(text), {});
}

std::string compare(const Script& script, const char* budget) {
  quiet_llama_log(false);
  const Result<Trace> plain = run_plain(script);
  if (!plain.ok()) return "plain: " + plain.status().to_string();

  ggml_backend_register(plugin_registry(parse_ram_budget(budget)));
  Result<Trace> hosted = Status(StatusCode::failed, "did not run");
  const std::string file = fmt::format("{}hosted-{}", testing::TempDir(), getpid());
  const std::string text = said(file, [&] { hosted = run_plain(script); });
  std::filesystem::remove(file);
  if (!hosted.ok()) return "hosted: " + hosted.status().to_string() + text;
  if (text.find("hypura: mode ") == std::string::npos) return "the plug-in took no part: " + text;
  return difference(*plain, *hosted);
}

void expect_equal(const Script& script) {
  for (const char* budget : {"min", "1G"}) {
    SCOPED_TRACE(script.model + " " + budget);
    EXPECT_EQ(in_child([&] { return compare(script, budget); }, 120), "");
  }
}

TEST(Hosted, EveryArchitecture) {
  const std::vector<Script> scripts = arch_scripts(
      HYPURA_ARCH_DIR, {.prompt_tokens = 33, .generated_tokens = 4, .micro_batch = 8});
  ASSERT_FALSE(scripts.empty());
  for (const Script& script : scripts) expect_equal(script);
}

std::string storyteller() {
  return std::string(HYPURA_REPO_DIR) + "/models/storyteller-moe-q4_k_m.gguf";
}

TEST(Hosted, Storyteller) { expect_equal({.model = storyteller()}); }

TEST(Hosted, TwoThreads) { expect_equal({.model = storyteller(), .threads = 2}); }

// Each shard is a mapping of its own.
TEST(Hosted, SplitIntoShards) {
  const std::string folder = testing::TempDir() + "hypura-hosted-split";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string command = fmt::format(
      "{} --arch qwen3moe --layers 3 --embd 512 --heads 8 --kv-heads 4 --experts 16 --used 4 "
      "--expert-ff 256 --vocab 1024 --quant q4_k_m --split 3 --out {}/m.gguf > {}/log 2>&1",
      HYPURA_MAKE_MODEL, folder, folder);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  expect_equal({.model = folder + "/m-00001-of-00003.gguf"});
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hypura::golden
