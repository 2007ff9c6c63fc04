// Every architecture that llama.cpp's own test-llama-archs writes as a tiny random model: streamed
// logits equal resident ones at the least budget and above.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "golden/arch_models.h"

namespace hypura::golden {
namespace {

// What llama.cpp cannot run on its plain path with these models, and why.
const std::map<std::string, std::string> kNotRunByLlama = {};

TEST(Archs, StreamedLogitsEqualResidentOnes) {
  const std::vector<Script> scripts = arch_scripts(HYPURA_ARCH_DIR, {});
  ASSERT_GE(scripts.size(), 127u) << "test-llama-archs wrote fewer models than v0.5.0 does";
  for (const Script& script : scripts) {
    SCOPED_TRACE(arch_of(script));
    const std::string result =
        in_child([&] { return compare_at_budgets(script, {0.2, 0.5, 1.2}); }, 120);
    const auto known = kNotRunByLlama.find(arch_of(script));
    if (known == kNotRunByLlama.end()) {
      EXPECT_EQ(result, "");
    } else {
      EXPECT_NE(result, "") << "runs now, so take it off the list: " << known->second;
    }
  }
}

}  // namespace
}  // namespace hypura::golden
