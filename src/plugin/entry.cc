// The C edge of libggml-hypura.so: what ggml's dynamic loader looks for in GGML_BACKEND_PATH.

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "backend/cpu_backend.h"
#include "ggml-backend.h"
#include "plugin/plugin.h"
#include "plugin/say.h"

namespace {

constexpr const char* kBudgetVariable = "HYPURA_RAM_BUDGET";

ggml_backend_reg_t start() {
  // Graphs and tensors are read as this version lays them out.
  if (std::strcmp(ggml_version(), HYPURA_GGML_VERSION) != 0) {
    hypura::say(fmt::format("error: this plug-in is for ggml {}, the program has {}",
                            HYPURA_GGML_VERSION, ggml_version()));
    return nullptr;
  }
  if (hypura::cpu_device() == nullptr) {
    hypura::say("error: the program has no CPU backend to compute with");
    return nullptr;
  }
  const char* budget = std::getenv(kBudgetVariable);
  return hypura::plugin_registry(
      hypura::parse_ram_budget(budget == nullptr ? "auto" : budget, kBudgetVariable));
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] ggml_backend_reg_t ggml_backend_init() {
  static ggml_backend_reg_t registry = nullptr;
  try {
    if (registry == nullptr) registry = start();
  } catch (...) {
    return nullptr;
  }
  return registry;
}

// Anything but 0: supported.
[[gnu::visibility("default")]] int ggml_backend_score() { return 1; }
}
