#pragma once

#include <string>
#include <vector>

namespace hypura::cli {

// What a command says of itself: its help, completions and man page are made of it.
struct OptionDescription {
  std::vector<std::string> names;  // "-o", "--output"; of a word without a name: "MODEL"
  // What stands for the value: alternatives with | between them, of which those in lower case are
  // typed as they are and FILE, DIR and MODEL are paths. Empty: a flag.
  std::string value;
  std::string help;
  bool required = false;
};

struct CommandDescription {
  std::string name;
  std::string text;
  std::vector<OptionDescription> words;
  std::vector<OptionDescription> options;
  std::vector<OptionDescription> llama_options;  // passed on to llama.cpp
};

}  // namespace hypura::cli
