#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"
#include "common.h"

namespace hypura::cli {

// A command line, divided between llama.cpp's options and ours.
struct SplitArguments {
  std::vector<std::string> llama;  // options of llama.cpp with their values
  std::vector<std::string> ours;   // everything else, in order
};

// Takes llama.cpp's options out of `arguments` by its own table, so that their names, values and
// help stay its business; but for those in `own`, which a command has for itself. Errors:
// invalid_argument with the reason for an option that cannot work here; none is ignored.
Result<SplitArguments> split_arguments(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& own = {});

// Whether llama.cpp's option (any of its names) is among `arguments` or in the environment.
bool asks_for(const std::vector<std::string>& arguments, const std::string& option_name);

// Lets llama.cpp parse its options into `params`. On failure it has said why on stderr.
bool parse_llama_arguments(const std::vector<std::string>& arguments, const std::string& model_path,
                           common_params& params);

// Names of the llama.cpp options that work here, for help and suggestions.
std::vector<std::string> llama_option_names();
// Their help, one option a paragraph.
std::string llama_option_help();
std::vector<OptionDescription> llama_option_descriptions();

}  // namespace hypura::cli
