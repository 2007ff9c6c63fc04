#pragma once

#include <string>

namespace hypura {

// From here on llama.cpp's and ggml's messages are kept to ourselves unless `verbose`, which prints
// them on stderr. Process-wide; called once before anything is loaded.
void quiet_llama_log(bool verbose);

// The headline of the last error that was reported since then; empty if there was none. Safe where
// ggml gives up in the middle of a report.
std::string last_llama_error();

// Collects what llama.cpp reports as errors while it lives, for the reason of a Status. One at a
// time. REQUIRES: quiet_llama_log() was called, or text() stays empty.
class LlamaErrors {
 public:
  LlamaErrors();
  ~LlamaErrors();
  LlamaErrors(const LlamaErrors&) = delete;
  LlamaErrors& operator=(const LlamaErrors&) = delete;

  // The first error, as one line without its function name. Empty if there was none.
  std::string text() const;
};

}  // namespace hypura
