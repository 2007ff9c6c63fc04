#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "common.h"

namespace hypura::cli {

// What /set changes between answers.
struct ChatSettings {
  common_params_sampling sampling;
  int predict_max = -1;  // -1: until the model ends
  bool thinking = true;
  bool verbose = false;  // what an answer took is said after each
};

// The words after /set, such as "parameter temperature 0.7" or "verbose on". Errors:
// invalid_argument with what is possible, and nothing has changed.
Status change_setting(const std::vector<std::string>& words, ChatSettings& settings);

// Every value, a line each.
std::string settings_text(const ChatSettings& settings);

// What can follow `words` behind /set.
std::vector<std::string> setting_words(const std::vector<std::string>& words);

}  // namespace hypura::cli
