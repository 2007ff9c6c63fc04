#pragma once

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "golden/golden.h"

namespace hypura::golden {

// `script` with each of the models that llama.cpp's test-llama-archs wrote to `folder`, by name.
inline std::vector<Script> arch_scripts(const std::string& folder, Script script) {
  // Models without a causal mask: llama.cpp takes their prompt only as one micro-batch.
  const std::set<std::string> not_causal = {"dream-dense", "llada-dense", "llada-moe-moe",
                                            "rnd1-moe"};
  std::vector<Script> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    Script& one = scripts.emplace_back(script);
    one.model = entry.path().string();
    if (not_causal.contains(entry.path().stem().string())) one.micro_batch = one.prompt_tokens;
  }
  std::sort(scripts.begin(), scripts.end(),
            [](const Script& a, const Script& b) { return a.model < b.model; });
  return scripts;
}

inline std::string arch_of(const Script& script) {
  return std::filesystem::path(script.model).stem().string();
}

}  // namespace hypura::golden
