#include "cli/llama_abort.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "cli/exit_code.h"
#include "engine/llama_log.h"
#include "llama.h"

namespace hypura::cli {
namespace {

// ggml's message is "/path/to/file.cpp:line: what".
void on_abort(const char* message) {
  const std::string_view text(message);
  if (text.ends_with("CUDA error") || text.ends_with("ROCm error")) {
    const std::string why = last_llama_error();
    std::fprintf(stderr,
                 "error: the GPU failed, and what it was computing is lost\n  why: %s\n"
                 "  try: again, or --gpu-budget 0\n",
                 why.empty() ? message : why.c_str());
    _exit(kFailed);
  }
  for (const char* c = message; *c != '\0' && *c != ':'; ++c) {
    if (*c == '/') message = c + 1;
  }
  std::fprintf(stderr,
               "error: llama.cpp cannot run this model\n  why: %s\n  try: another model file; "
               "`hypura inspect` shows what this one holds\n",
               message);
  _exit(kInvalidModel);
}

}  // namespace

void explain_aborts() { ggml_set_abort_callback(on_abort); }

}  // namespace hypura::cli
