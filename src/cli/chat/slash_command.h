#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace hypura::cli {

enum class SlashCommand : uint8_t {
  help, system, set, show, stats, save, load, clear, retry, quit,
};

struct SlashLine {
  SlashCommand command;
  std::string rest;  // without spaces around it
};

// A line that starts with a slash. Errors: invalid_argument for a command that does not exist, or
// one without what it needs.
Result<SlashLine> parse_slash(const std::string& line);

// What /help prints.
std::string slash_help();

// What the last word of a line that starts with a slash can become: commands, settings, files.
std::vector<std::string> complete_slash(const std::string& line);

// `text` cut at spaces.
std::vector<std::string> words_of(const std::string& text);

}  // namespace hypura::cli
