// Every architecture that llama.cpp's own test-llama-archs writes as a tiny random model: streamed
// logits equal resident ones at the least budget and above.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "golden/golden.h"

namespace hypura::golden {
namespace {

// Models without a causal mask: llama.cpp takes their prompt only as one micro-batch.
const std::set<std::string> kNotCausal = {"dream-dense", "llada-dense", "llada-moe-moe",
                                          "rnd1-moe"};

// What llama.cpp cannot run on its plain path with these models, and why.
const std::map<std::string, std::string> kNotRunByLlama = {};

std::vector<std::string> models() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(HYPURA_ARCH_DIR)) {
    if (entry.path().extension() == ".gguf") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(Archs, StreamedLogitsEqualResidentOnes) {
  const std::vector<std::string> paths = models();
  ASSERT_GE(paths.size(), 127u) << "test-llama-archs wrote fewer models than v0.5.0 does";
  for (const std::string& path : paths) {
    const std::string name = std::filesystem::path(path).stem().string();
    SCOPED_TRACE(name);
    Script script{.model = path};
    if (kNotCausal.contains(name)) script.micro_batch = script.prompt_tokens;
    const std::string result =
        in_child([&] { return compare_at_budgets(script, {0.2, 0.5, 1.2}); }, 120);
    const auto known = kNotRunByLlama.find(name);
    if (known == kNotRunByLlama.end()) {
      EXPECT_EQ(result, "");
    } else {
      EXPECT_NE(result, "") << "runs now, so take it off the list: " << known->second;
    }
  }
}

}  // namespace
}  // namespace hypura::golden
