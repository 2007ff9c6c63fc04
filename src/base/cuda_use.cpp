#include "base/cuda_use.h"

#include <atomic>

namespace hypura {
namespace {

std::atomic<bool> g_may_use{true};

}  // namespace

bool may_use_cuda() { return g_may_use; }

void use_no_cuda() { g_may_use = false; }

}  // namespace hypura
