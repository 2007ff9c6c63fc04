#include "cli/llama_abort.h"

#include <gtest/gtest.h>

#include "engine/llama_log.h"
#include "llama.h"

namespace hypura::cli {
namespace {

TEST(ExplainAbortsDeathTest, AFailedGpuIsOneMessageWithItsReason) {
  const auto fail = [] {
    quiet_llama_log(false);
    explain_aborts();
    ggml_log_callback log = nullptr;
    void* user_data = nullptr;
    llama_log_get(&log, &user_data);
    log(GGML_LOG_LEVEL_ERROR, "CUDA error: an illegal memory access was encountered\n", user_data);
    GGML_ABORT("CUDA error");
  };
  EXPECT_EXIT(fail(), testing::ExitedWithCode(1),
              "the GPU failed.*\n  why: CUDA error: an illegal memory access was encountered\n");
}

TEST(ExplainAbortsDeathTest, AnythingElseIsTheModels) {
  const auto fail = [] {
    explain_aborts();
    GGML_ABORT("a shape that nobody has");
  };
  EXPECT_EXIT(fail(), testing::ExitedWithCode(4), "cannot run this model\n  why: .*a shape that");
}

}  // namespace
}  // namespace hypura::cli
