#include "engine/llama_log.h"

#include <cstdio>
#include <mutex>

#include "llama.h"
#include "log.h"

namespace hypura {
namespace {

struct Log {
  std::mutex mutex;
  bool verbose = false;
  bool collecting = false;
  std::string first_error;
  std::string last_error;  // a headline: what is indented belongs to it
};

Log& log() {
  static Log instance;
  return instance;
}

void on_message(ggml_log_level level, const char* text, void*) {
  const std::lock_guard lock(log().mutex);
  if (log().verbose) std::fputs(text, stderr);
  if (level != GGML_LOG_LEVEL_ERROR) return;
  if (text[0] != ' ') log().last_error = text;
  if (log().collecting && log().first_error.empty()) log().first_error = text;
}

}  // namespace

void quiet_llama_log(bool verbose) {
  log().verbose = verbose;
  common_log_set_verbosity_thold(verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
  llama_log_set(on_message, nullptr);
}

std::string last_llama_error() {
  const std::unique_lock lock(log().mutex, std::try_to_lock);
  if (!lock.owns_lock()) return std::string();
  std::string text = log().last_error;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

LlamaErrors::LlamaErrors() {
  const std::lock_guard lock(log().mutex);
  log().collecting = true;
  log().first_error.clear();
}

LlamaErrors::~LlamaErrors() {
  const std::lock_guard lock(log().mutex);
  log().collecting = false;
}

std::string LlamaErrors::text() const {
  const std::lock_guard lock(log().mutex);
  std::string text = log().first_error;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  // "llama_model_load: error loading model: ..." says more without its first word.
  const size_t colon = text.find(": ");
  if (colon != std::string::npos && text.find(' ') > colon) text.erase(0, colon + 2);
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

}  // namespace hypura
