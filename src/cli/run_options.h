#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"
#include "engine/engine.h"

namespace hypura::cli {

class CommandLine;

// A command that runs a model: `run`, or one with a few options more.
struct RunCommand {
  std::string name;
  std::string description;
  std::function<void(CommandLine&)> describe;  // its own options; may be empty
  std::vector<std::string> own;                // of these, the names that llama.cpp has, too
  std::vector<std::string> refused;            // a run's, which the command itself refuses
  // The word behind the command, which becomes EngineOptions::model_path; a MODEL may be the name
  // of a stored one.
  std::string word = "MODEL";
  std::string word_help = "GGUF file, of a split model any shard; or a name that hypura list shows";
  bool word_required = true;
};

struct RunOptions {
  EngineOptions engine;
  bool interactive = false;  // -i: a conversation on the terminal
  bool chat = false;         // -cnv: the prompt is one message, in the model's chat template
  bool json = false;
  std::string history_file;  // of past runs; empty: neither read nor written
  bool kv_type_auto = false;  // a smaller KV cache is allowed where memory is tight
  bool help = false;
};

// The arguments after the command's name. Errors: invalid_argument; an empty message if it was
// already printed.
Result<RunOptions> parse_run_options(const std::vector<std::string>& arguments,
                                     const RunCommand& command);

std::string run_help(const RunCommand& command);
CommandDescription describe(const RunCommand& command);

}  // namespace hypura::cli
