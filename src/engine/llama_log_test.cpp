#include "engine/llama_log.h"

#include <gtest/gtest.h>

#include "llama.h"

namespace hypura {
namespace {

void log_error(const char* text) {
  ggml_log_callback log = nullptr;
  void* user_data = nullptr;
  llama_log_get(&log, &user_data);
  log(GGML_LOG_LEVEL_ERROR, text, user_data);
}

TEST(LlamaErrors, HasTheFirstErrorWithoutItsFunction) {
  quiet_llama_log(false);
  log_error("before: nobody listened\n");
  const LlamaErrors errors;
  EXPECT_EQ(errors.text(), "");
  log_error("llama_model_load: error loading model: it is broken\n");
  log_error("a second one\n");
  EXPECT_EQ(errors.text(), "error loading model: it is broken");
}

TEST(LastLlamaError, IsTheHeadlineOfTheLastOne) {
  quiet_llama_log(false);
  log_error("the first\n");
  log_error("CUDA error: an illegal memory access was encountered\n");
  log_error("  current device: 0\n");
  EXPECT_EQ(last_llama_error(), "CUDA error: an illegal memory access was encountered");
}

}  // namespace
}  // namespace hypura
